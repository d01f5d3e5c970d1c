import pytest
from aiida import orm
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData

# meV/Å and meV/atom that 40 frames of 8 atoms give with room to spare; forces are 1 eV/Å.
FORCE_RMSE = 0.1
ENERGY_RMSE = 0.02


@pytest.mark.parametrize('trainer', ['pod', 'ace'])
def test_the_ports(trainer):
    spec = CalculationFactory(f'mlip_autopipe.{trainer}').spec()
    assert not spec.inputs['references'].required
    assert {'frames', 'references', 'elements', 'seed', 'settings', 'code'} <= set(spec.inputs)
    assert spec.outputs['potential'].valid_type is PotentialData
    assert spec.exit_codes.ERROR_POTENTIAL_MISSING.status == 330


@pytest.mark.lammps
def test_a_fit_gives_a_potential_with_its_origin(fitted):
    assert fitted.is_finished_ok, fitted.exit_message
    record = fitted.outputs.potential.record
    assert record.elements == ('Cu', 'Au')
    assert record.training_uuid == fitted.inputs.frames.uuid
    assert record.fingerprint == 'emt'
    assert set(record.reference_energies) == {'Cu', 'Au'}
    errors = fitted.outputs.report['training_errors']
    assert errors['force_rmse'] < FORCE_RMSE
    assert errors['energy_rmse'] < ENERGY_RMSE
    assert 0 < fitted.outputs.report['gamma_train_max'] <= 1.01


@pytest.mark.lammps
def test_a_missing_reference_is_an_exit_code(run_stage, emt_frames, references):
    node = run_stage(
        'pod',
        frames=FramesData(emt_frames(4)),
        references=FramesData(references.take([0])),
        elements=orm.List(['Cu', 'Au']),
        seed=orm.Int(0),
        settings=orm.Dict({}),
    )
    assert node.exit_status == 410
    assert "no labelled isolated atom of ['Au']" in node.exit_message
    assert 'potential' not in node.outputs


@pytest.mark.lammps
def test_a_fit_of_ace_without_isolated_atoms(run_stage, emt_frames):
    pytest.importorskip('pyace')
    frames = FramesData(emt_frames(20))
    node = run_stage(
        'ace',
        frames=frames,
        elements=orm.List(['Cu', 'Au']),
        seed=orm.Int(0),
        settings=orm.Dict({'trainer': 'mlip_autopipe.ace', 'cutoff': 4.5, 'functions': 40}),
    )
    assert node.is_finished_ok, node.exit_message
    record, report = node.outputs.potential.record, node.outputs.report.get_dict()
    assert (record.engine, record.elements, record.training_uuid) == ('pace', ('Cu', 'Au'), frames.uuid)
    assert record.reference_energies == {}
    assert record.energy_shift == report['energy_shift']
    assert report['functions'] == {'Cu': 40, 'Au': 40}
    assert report['training_errors']['force_rmse'] < FORCE_RMSE
    assert report['training_errors']['energy_rmse'] < ENERGY_RMSE
