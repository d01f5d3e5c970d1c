import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.label_functions import collect_labels, plan_batches, port_of, prepare_label
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig

ENERGY = -123.5
STRESS = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])
"""GPa, with QE's sign: positive under compression."""

FORCE_CAP = 5.0
PSEUDOS = {'Cu': {'md5': 'a', 'z_valence': 11.0}, 'Au': {'md5': 'b', 'z_valence': 11.0}}


def settings(**values):
    given = {'pseudo_family': 'any', 'cutoff_wfc': 20.0, 'kpoints_distance': 0.3, 'force_cap': FORCE_CAP, **values}
    return orm.Dict(DFTConfig.model_validate(given).model_dump())


@pytest.fixture
def frames(emt_frames):
    return emt_frames(3, labelled=False)


def test_names_of_nodes():
    assert port_of('structure', 3) == 'structure_00003'


def prepared(frames, index, **values):
    return prepare_label(FramesData(frames), settings(**values), orm.Dict(PSEUDOS), orm.Int(index))


def test_a_frame_gets_a_structure_and_a_mesh(frames):
    for index in range(3):
        nodes = prepared(frames, index)
        assert set(nodes) == {'structure', 'kpoints', 'parameters'}
        atoms = nodes['structure'].get_ase()
        np.testing.assert_allclose(atoms.positions, frames.atoms(index).positions)
        assert atoms.get_chemical_symbols() == frames.symbols(index)
        mesh, _ = nodes['kpoints'].get_kpoints_mesh()
        lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(frames.cells[index]).T, axis=1)
        assert all(length / count <= 0.3 + 1e-9 for length, count in zip(lengths, mesh, strict=True))


def test_isolated_atoms_are_calculated_at_gamma(frames, references):
    both = Frames.concatenate([references, frames])
    assert references.config_type[0] == ISOLATED_ATOM
    assert prepared(both, 0)['kpoints'].get_kpoints_mesh()[0] == [1, 1, 1]
    assert prepared(both, 2)['kpoints'].get_kpoints_mesh()[0] != [1, 1, 1]


def test_the_parameters_of_a_frame_fit_its_size(frames, references):
    both = Frames.concatenate([references, frames])
    assert prepared(both, 2, conv_thr_per_atom=1e-8)['parameters']['ELECTRONS']['conv_thr'] == pytest.approx(8e-8)
    assert prepared(both, 0)['parameters']['SYSTEM']['ecutrho'] == 80.0


def test_an_atom_with_an_unpaired_electron_has_a_spin(frames, references):
    both = Frames.concatenate([references, frames])
    assert references.symbols(0) == ['Cu']
    assert prepared(both, 0)['parameters']['SYSTEM']['starting_magnetization'] == {'Cu': pytest.approx(1 / 11)}
    assert 'nspin' not in prepared(both, 2)['parameters']['SYSTEM']


def test_every_frame_that_is_not_done_is_in_one_job(frames):
    plan = plan_batches(FramesData(frames), settings(max_concurrent=2), orm.Dict(PSEUDOS), orm.List([1]))
    assert sorted(index for job in plan.get_list() for index in job) == [0, 2]


@pytest.fixture
def output(fake_process, frames):
    """Return a factory of the outputs of a finished `PwCalculation`."""

    def make(index, *, energy=ENERGY, converged=True, forces=None, **others):
        parameters = orm.Dict(
            {
                'energy': energy,
                'energy_units': 'eV',
                'number_of_electrons': 88.0,
                'convergence_info': {'scf_conv': {'convergence_achieved': converged}},
                'creator_version': '6.7',
                'dft_exchange_correlation': 'PZ',
                **others,
            }
        )
        n_atoms = len(frames.symbols(index))
        forces = np.full((2, n_atoms, 3), 0.5) if forces is None else forces
        trajectory = orm.ArrayData({'forces': forces, 'stress': np.array([np.zeros((3, 3)), STRESS])})
        job = fake_process(outputs={'output_parameters': parameters, 'output_trajectory': trajectory})
        names = (port_of('parameters', index), port_of('trajectory', index))
        return dict(zip(names, (job.outputs.output_parameters, job.outputs.output_trajectory), strict=True))

    return make


def collect(frames, failures=None, pseudos=None, **results):
    outcome = {'failures': failures or {}, 'remedies': {}, 'levels': {}, 'recipe': 'r', 'warnings': ['w']}
    return collect_labels(FramesData(frames), settings(), orm.Dict(pseudos or PSEUDOS), orm.Dict(outcome), **results)


def test_labels_are_in_the_units_of_the_package(frames, output):
    results = {**output(0), **output(2)}
    nodes = collect(frames, {'1': {'reason': 'scf_not_converged'}}, **results)
    labelled = nodes['labelled'].frames
    assert labelled.uid.tolist() == frames.uid[[0, 2]].tolist()
    assert labelled.energy.tolist() == [ENERGY] * 2
    np.testing.assert_allclose(labelled.forces, 0.5)
    expected = -GPA * np.array([1.0, 2.0, 3.0, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(labelled.stress, [expected] * 2)
    assert labelled.label_uuid.tolist() == [results[port_of('parameters', i)].creator.uuid for i in (0, 2)]
    assert labelled.lineage.tolist() == frames.lineage[[0, 2]].tolist()


def test_failures_are_quarantined_with_their_reason(frames, output):
    nodes = collect(frames, {'1': {'reason': 'job_lost', 'detail': 'excepted'}}, **output(0), **output(2))
    quarantined = nodes['quarantined'].frames
    assert (quarantined.uid.tolist(), quarantined.reason.tolist()) == ([frames.uid[1]], ['job_lost'])
    report = nodes['report'].get_dict()
    assert (report['n_frames'], report['n_labelled'], report['n_failed']) == (3, 2, 1)
    assert report['failures'] == [{'index': 1, 'uid': str(frames.uid[1]), 'reason': 'job_lost', 'detail': 'excepted'}]


def test_the_report_says_what_may_be_reused(frames, output):
    report = collect(frames, **output(0), **output(1), **output(2))['report']
    assert (report['recipe'], report['warnings'], report['uids']) == ('r', ['w'], frames.uid.tolist())


def test_a_calculation_that_did_not_converge_gives_no_label(frames, output):
    nodes = collect(frames, **output(0, converged=False), **output(1), **output(2))
    assert nodes['report']['by_reason'] == {'scf_not_converged': 1}
    assert frames.uid[0] not in nodes['labelled'].frames.uid.tolist()


def test_without_a_word_on_convergence_there_is_no_label(frames, output):
    nodes = collect(frames.take([0]), **output(0, convergence_info={}))
    assert nodes['report']['by_reason'] == {'scf_not_converged': 1}
    assert 'labelled' not in nodes


def test_a_force_above_the_cap_gives_no_label(frames, output):
    forces = np.zeros((1, 8, 3))
    forces[0, 3, 1] = FORCE_CAP + 0.1
    nodes = collect(frames, **output(0, forces=forces), **output(1), **output(2))
    assert nodes['report']['by_reason'] == {'force_cap': 1}


def test_a_number_that_is_not_finite_gives_no_label(frames, output):
    forces = np.zeros((1, 8, 3))
    forces[0, 0, 0] = np.nan
    nodes = collect(frames, **output(0, forces=forces), **output(1))
    assert nodes['report']['by_reason'] == {'not_finite': 1}
    assert len(nodes['labelled']) == 1


def test_all_reasons_are_counted(frames, output):
    killed = {'reason': 'job_lost', 'detail': 'killed'}
    nodes = collect(frames, {'0': killed, '2': killed}, **output(1, converged=False))
    assert nodes['report']['by_reason'] == {'job_lost': 2, 'scf_not_converged': 1}
    assert len(nodes['quarantined']) == 3
    assert 'labelled' not in nodes


def test_the_fingerprint_is_one_for_all_frames_and_changes_with_the_level_of_theory(frames, output):
    def fingerprint(**options):
        nodes = collect(frames.take([0]), pseudos=options.pop('pseudos', None), **output(0, **options))
        (found,) = nodes['report']['levels_of_theory']
        assert nodes['labelled'].base.attributes.get('fingerprints') == [found]
        return found

    plain = fingerprint()
    assert fingerprint(energy=-1.0) == plain
    others = [
        fingerprint(creator_version='7.3'),
        fingerprint(dft_exchange_correlation='PBE'),
        fingerprint(pseudos={**PSEUDOS, 'Au': {'md5': 'other', 'z_valence': 11.0}}),
    ]
    assert len({plain, *others}) == 4


def test_a_pure_element_has_the_fingerprint_of_the_alloy(frames, output):
    nodes = collect(frames, **output(0), **output(1), **output(2))
    assert set(frames.symbols(0)) != set(frames.symbols(1))
    assert len(nodes['labelled'].base.attributes.get('fingerprints')) == 1


@pytest.mark.parametrize('broken', [{'energy_units': 'Ry'}, {'forces_units': 'Ry / bohr'}, {'stress_units': 'kbar'}])
def test_an_unexpected_unit_quarantines_the_frame_and_loses_no_other(frames, output, broken):
    nodes = collect(frames, **output(0, **broken), **output(1), **output(2))
    assert len(nodes['labelled']) == 2
    (failure,) = nodes['report']['failures']
    assert failure['index'] == 0
    assert failure['reason'] == 'output_unreadable'
    assert 'expected' in failure['detail']


def test_a_missing_quantity_quarantines_the_frame_and_loses_no_other(frames, output):
    forces_lost = output(0)
    trajectory = orm.ArrayData({'stress': STRESS[None]})
    nodes = collect(frames, **{**forces_lost, port_of('trajectory', 0): trajectory}, **output(1), **output(2))
    assert len(nodes['labelled']) == 2
    (failure,) = nodes['report']['failures']
    assert (failure['reason'], failure['detail']) == ('output_incomplete', 'output of pw.x lacks forces')
