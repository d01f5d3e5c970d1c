import numpy as np
import pytest
from aiida import orm
from aiida.engine import ProcessState, run_get_node
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from ase.build import bulk
from ase.io import read

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.label import DFTConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.workflows.label import LabelWorkChain

# ASE reads pw.x's text, which has fewer digits than the XML.
ENERGY_TOLERANCE = 1e-5
FORCE_TOLERANCE = 1e-4
STRESS_TOLERANCE = 1e-5


def settings(**values):
    given = {'pseudo_family': 'mlip-demo-lda', 'cutoff_wfc': 15, 'kpoints_distance': 0.5, **values}
    return DFTConfig.model_validate(given).model_dump()


def aluminium(n_frames):
    rng = np.random.default_rng(1)
    structures = []
    for _ in range(n_frames):
        atoms = bulk('Al', a=4.0)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.info['config_type'] = 'strain'
        structures.append(atoms)
    return Frames.from_atoms(structures)


@pytest.fixture
def pw_children(fake_process):
    """Children of `LabelWorkChain` in the order of the frames: `ok`, `diverged`, an exit status or a process state."""

    def make(plan):
        calls = iter(plan)

        def answer(process, inputs):
            outcome = next(calls)
            if isinstance(outcome, ProcessState):
                return fake_process(orm.WorkChainNode, state=outcome)
            if isinstance(outcome, int):
                return fake_process(orm.WorkChainNode, status=outcome, message='broke')
            n_atoms = len(inputs['pw']['structure'].sites)
            arrays = {'forces': np.zeros((1, n_atoms, 3)), 'stress': np.eye(3)[None]}
            parameters = {
                'energy': -1.0,
                'number_of_electrons': 3.0,
                'convergence_info': {'scf_conv': {'convergence_achieved': outcome == 'ok'}},
            }
            job = fake_process(outputs={'output_parameters': orm.Dict(parameters), 'output_trajectory': orm.ArrayData(arrays)})
            named = {name: job.outputs[name] for name in ('output_parameters', 'output_trajectory')}
            return fake_process(orm.WorkChainNode, outputs=named)

        return answer

    return make


@pytest.fixture
def label(walk, pw_children, lda_family, worker_code):
    def run(plan, **values):
        frames = FramesData(aluminium(len(plan)))
        return walk(LabelWorkChain, pw_children(plan), code=worker_code, frames=frames, settings=orm.Dict(settings(**values)))

    return run


def test_every_frame_gets_a_label_that_leads_to_its_calculation(label):
    found = label(['ok'] * 3)
    assert found.exit_code is None
    labelled = found.outputs['labelled'].frames
    assert len(labelled) == len(set(labelled.label_uuid.tolist())) == 3
    assert all(isinstance(orm.load_node(uuid), orm.CalcJobNode) for uuid in labelled.label_uuid.tolist())
    assert 'quarantined' not in found.outputs
    assert found.outputs['report']['n_labelled'] == 3


def test_frames_are_submitted_in_batches_under_their_names(walk, pw_children, lda_family, worker_code):
    answer, running = pw_children(['ok'] * 5), []

    def counted(process, inputs):
        running.append(inputs['metadata']['call_link_label'])
        return answer(process, inputs)

    values = orm.Dict(settings(max_concurrent=2))
    found = walk(LabelWorkChain, counted, code=worker_code, frames=FramesData(aluminium(5)), settings=values)
    assert running == [f'frame_{index:05d}' for index in range(5)]
    assert found.process.ctx.batch == [4]
    assert [len(step) for step in found.steps if step] == [2, 2, 1]


def test_inputs_of_a_frame(label):
    found = label(['ok'], max_concurrent=1, options={'mpi_processes': 2, 'walltime': 99})
    (_, inputs), *_ = found.submitted
    assert inputs['pw']['parameters'].get_dict()['SYSTEM']['ecutwfc'] == 15
    assert inputs['pw']['metadata']['options']['max_wallclock_seconds'] == 99
    assert inputs['pw']['metadata']['options']['withmpi']
    assert set(inputs['pw']['pseudos']) == {'Al'}
    assert inputs['clean_workdir'].value is True


def test_failures_below_the_limit_are_quarantined_with_their_reasons(label):
    found = label(['ok', 410, 'diverged', 'ok', ProcessState.EXCEPTED, ProcessState.KILLED, 'ok', 'ok'], max_failure_rate=0.5)
    assert found.exit_code is None
    report = found.outputs['report'].get_dict()
    reasons = {failure['index']: failure['reason'] for failure in report['failures']}
    assert set(reasons) == {1, 2, 4, 5}
    assert (reasons[2], reasons[4], reasons[5]) == ('scf_not_converged', 'excepted', 'killed')
    assert not reasons[1].startswith('error')
    frames = aluminium(8)
    assert found.outputs['quarantined'].frames.uid.tolist() == frames.uid[[1, 2, 4, 5]].tolist()
    assert found.outputs['labelled'].frames.uid.tolist() == frames.uid[[0, 3, 6, 7]].tolist()


def test_the_reason_is_the_label_of_the_exit_code(label):
    status = PwBaseWorkChain.exit_codes.ERROR_UNRECOVERABLE_FAILURE.status
    (failure,) = label([status, 'ok'], max_failure_rate=0.5).outputs['report']['failures']
    assert failure['reason'] == 'unrecoverable_failure'


def test_a_status_that_nobody_declared_is_its_own_reason(label):
    (failure,) = label([999, 'ok'], max_failure_rate=0.5).outputs['report']['failures']
    assert failure['reason'] == '999'


def test_failures_above_the_limit_stop_with_everything_attached(label):
    found = label(['ok', 410, 410], max_failure_rate=0.5)
    assert found.label == 'ERROR_FAILURE_RATE'
    assert found.exit_code.message.startswith('2 of 3 frames failed, more than the allowed rate of 0.5: {')
    assert (len(found.outputs['labelled']), len(found.outputs['quarantined'])) == (1, 2)
    assert found.outputs['report']['n_failed'] == 2


def test_when_all_frames_failed_there_is_a_report(label):
    found = label([410, 410])
    assert found.label == 'ERROR_FAILURE_RATE'
    assert 'labelled' not in found.outputs
    assert found.outputs['report']['n_labelled'] == 0


def test_a_missing_family_stops_before_anything_is_submitted(label):
    found = label(['ok'], pseudo_family='nowhere')
    assert found.label == 'ERROR_NO_PSEUDOPOTENTIAL'
    assert "got 'nowhere'" in found.exit_code.message
    assert found.submitted == []


def test_bad_settings_are_refused(walk, pw_children, worker_code):
    bad = orm.Dict({'pseudo_family': 'mlip-demo-lda', 'cutoff_wfc': -15})
    with pytest.raises(ValueError, match='cutoff_wfc: got -15;'):
        walk(LabelWorkChain, pw_children([]), code=worker_code, frames=FramesData(aluminium(1)), settings=bad)


@pytest.mark.espresso
def test_a_label_of_pw_is_what_ase_reads_from_its_output(pw_code, lda_family, tmp_path):
    frames = aluminium(1)
    inputs = {'code': pw_code, 'frames': FramesData(frames), 'settings': orm.Dict(settings())}
    _, node = run_get_node(LabelWorkChain, **inputs)
    assert node.is_finished_ok, node.exit_message
    labelled = node.outputs.labelled.frames
    assert labelled.labelled.all()
    assert labelled.has_stress.all()
    calculation = orm.load_node(str(labelled.label_uuid[0]))
    assert calculation.process_label == 'PwCalculation'
    text = calculation.outputs.retrieved.base.repository.get_object_content('aiida.out')
    (tmp_path / 'pw.out').write_text(text, encoding='utf-8')
    reference = read(tmp_path / 'pw.out', format='espresso-out')
    atoms = labelled.atoms(0)
    np.testing.assert_allclose(reference.cell.array, frames.atoms(0).cell.array, atol=1e-4)
    # The forces are the derivative of the free energy, which pw.x prints as the total energy.
    assert atoms.get_potential_energy() == pytest.approx(reference.get_potential_energy(), abs=ENERGY_TOLERANCE)
    np.testing.assert_allclose(atoms.get_forces(), reference.get_forces(), atol=FORCE_TOLERANCE)
    np.testing.assert_allclose(atoms.get_stress(), reference.get_stress(), atol=STRESS_TOLERANCE)
    assert np.abs(reference.get_stress()).max() > 10 * STRESS_TOLERANCE
    (level,) = node.outputs.report['levels_of_theory'].values()
    assert level['pseudos'] == {element: pseudo.md5 for element, pseudo in lda_family.pseudos.items()}
    assert level['cutoff_wfc'] == 15
    assert level['code_version']
