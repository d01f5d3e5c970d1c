"""`LabelWorkChain`: its outline walked with finished children, and its labels against what ASE reads from `pw.x`."""

import io
import zipfile

import numpy as np
import pytest
from aiida import orm
from aiida.engine import ProcessState, run_get_node
from ase.build import bulk
from ase.io import read

from aiida_mlip_autopipe.calculations.label_pw import PwBatchCalculation
from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.formats.frame_archive import read_frame_archive
from aiida_mlip_autopipe.parsers import label_pw
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.science.quarantine import label_report
from aiida_mlip_autopipe.workflows.label import MAX_STARTS, LabelWorkChain
from aiida_mlip_autopipe.workflows.recover import RecoverWorkChain
from tests.aiida_fixtures import theory_of
from tests.pw_data import strained_aluminium

# ASE reads pw.x's text, which has fewer digits than the XML.
ENERGY_TOLERANCE = 1e-5
FORCE_TOLERANCE = 1e-4
STRESS_TOLERANCE = 1e-5


def settings(**values):
    given = {'pseudo_family': 'mlip-demo-lda', 'cutoff_wfc': 15, 'kpoints_distance': 0.5, 'reuse': False, **values}
    return DFTConfig.model_validate(given).model_dump()


def aluminium(n_frames, seed=1):
    return Frames.from_atoms(strained_aluminium(n_frames, seed))


class Children:
    """Finished children: `plan` has for each frame what becomes of it in its 1st, 2nd, … calculation.

    `ok`, `lost` (the job gives nothing), `not_started`, `killed` (the job), or the reason of a failure by the value of `Reason`.
    """

    def __init__(self, fake_process, plan):
        self.fake_process = fake_process
        self.plan = {index: list(outcomes) for index, outcomes in enumerate(plan)}

    def __call__(self, process, inputs):
        return self.batch(inputs) if process is PwBatchCalculation else self.recovery(inputs)

    def batch(self, inputs):
        outcomes = {index: self.plan[index].pop(0) for index in inputs['indices']}
        if 'killed' in outcomes.values():
            return self.fake_process(state=ProcessState.KILLED)
        pool = inputs['frames'].frames
        done = [index for index, outcome in outcomes.items() if outcome == 'ok']
        idle = [index for index, outcome in outcomes.items() if outcome == 'not_started']
        failures = {i: FrameFailure(Reason(what), 'of a job') for i, what in outcomes.items() if i not in (*done, *idle)}
        config = DFTConfig.model_validate(inputs['settings'].get_dict())
        pseudos = {element: pseudo.md5 for element, pseudo in inputs['pseudos'].items()}
        level = {**config.theory(pseudos), 'code_version': '', 'functional': ''}
        report = label_report(pool, failures, {fingerprint_of(level): level}, len(outcomes))
        report.update(labelled=done, not_started=idle)
        outputs = {'report': orm.Dict(report)}
        if done:
            label = Label(-1.0, np.zeros((1, 3)), np.zeros(6))
            atoms = [label.put_on(pool.atoms(i), fingerprint=fingerprint_of(level), label_uuid='job') for i in done]
            outputs['labelled'] = FramesData.from_atoms(atoms)
        return self.fake_process(outputs=outputs, status=520 if len(done) < len(outcomes) else 0)

    def recovery(self, inputs):
        index = int(inputs['metadata']['call_link_label'].removeprefix('frame_'))
        outcome = self.plan[index].pop(0)
        if outcome != 'ok':
            return self.fake_process(orm.WorkChainNode, status=410)
        arrays = {'forces': np.zeros((1, 1, 3)), 'stress': np.eye(3)[None]}
        converged = {'scf_conv': {'convergence_achieved': True}}
        parameters = {'energy': -1.0, 'number_of_electrons': 3.0, 'convergence_info': converged}
        job = self.fake_process(outputs={'output_parameters': orm.Dict(parameters), 'output_trajectory': orm.ArrayData(arrays)})
        named = {name: job.outputs[name] for name in ('output_parameters', 'output_trajectory')}
        return self.fake_process(orm.WorkChainNode, outputs=named)


@pytest.fixture
def label(walk, fake_process, lda_family, worker_code, monkeypatch):
    monkeypatch.setattr('aiida_mlip_autopipe.workflows.label.remedy_of', lambda _: 'a_remedy')
    lost = FrameFailure(Reason.JOB_LOST, 'of a remedy')
    monkeypatch.setattr('aiida_mlip_autopipe.workflows.label.failure_of_chain', lambda _: lost)

    def run(plan, **values):
        inputs = {'code': worker_code, 'worker_code': worker_code, 'frames': FramesData(aluminium(len(plan)))}
        return walk(LabelWorkChain, Children(fake_process, plan), **theory_of(orm.Dict(settings(**values))), **inputs)

    return run


def reasons(found):
    return {failure['index']: failure['reason'] for failure in found.outputs['report']['failures']}


def test_every_frame_gets_a_label(label):
    found = label([['ok']] * 5, max_concurrent=2)
    assert found.exit_code is None
    assert found.names == ['PwBatchCalculation'] * 2
    assert found.outputs['labelled'].frames.uid.tolist() == aluminium(5).uid.tolist()
    assert 'quarantined' not in found.outputs
    report = found.outputs['report']
    assert [report[name] for name in ('n_labelled', 'n_recovered', 'n_reused', 'n_failed')] == [5, 0, 0, 0]
    assert report['uids'] == aluminium(5).uid.tolist()


def test_no_more_jobs_run_at_a_time_than_allowed(label):
    found = label([['ok']] * 5, max_concurrent=2, frames_per_job=1)
    assert [len(step) for step in found.steps if step] == [2, 2, 1]


def test_inputs_of_a_job(label):
    found = label([['ok']], max_concurrent=1, options={'mpi_processes': 2, 'walltime': 99})
    (_, inputs), *_ = found.submitted
    assert inputs['settings']['cutoff_wfc'] == 15
    assert inputs['metadata']['options']['max_wallclock_seconds'] == 99
    assert inputs['metadata']['options']['withmpi']
    assert 'Al' in inputs['pseudos']


def test_what_was_not_started_or_cut_off_goes_into_another_job(label):
    found = label([['ok'], ['not_started', 'ok'], [Reason.OUT_OF_TIME, 'not_started', 'ok']], max_concurrent=1)
    assert found.exit_code is None
    assert [sorted(inputs['indices'].get_list()) for _, inputs in found.submitted] == [[0, 1, 2], [1, 2], [2]]
    assert found.outputs['report']['n_labelled'] == 3


def test_frames_of_a_killed_job_go_into_another_one(label):
    found = label([['killed', 'ok'], ['killed', 'ok']], max_concurrent=1)
    assert found.exit_code is None
    assert found.names == ['PwBatchCalculation'] * 2


def test_a_frame_that_never_gets_its_turn_is_recovered_alone(label):
    found = label([['not_started'] * MAX_STARTS + ['ok']])
    assert found.names == ['PwBatchCalculation'] * MAX_STARTS + ['RecoverWorkChain']
    assert found.outputs['report']['n_recovered'] == 1


def test_failures_are_recovered_or_quarantined_with_their_reasons(label):
    plan = [['ok'], ['scf_not_converged', 'ok'], ['output_incomplete', 'job_lost'], ['force_cap'], ['ok'], ['ok']]
    found = label(plan, max_concurrent=1)
    assert found.exit_code is None
    assert found.names == ['PwBatchCalculation', 'RecoverWorkChain', 'RecoverWorkChain']
    assert reasons(found) == {2: 'job_lost', 3: 'force_cap'}
    report = found.outputs['report']
    assert (report['remedies'], report['n_recovered'], report['n_labelled']) == ({'1': 'a_remedy'}, 1, 4)
    frames = aluminium(6)
    assert [failure['detail'] for failure in report['failures']] == ['of a remedy', 'of a job']
    quarantined = found.outputs['quarantined'].frames
    assert (quarantined.uid.tolist(), quarantined.reason.tolist()) == (frames.uid[[2, 3]].tolist(), ['job_lost', 'force_cap'])
    assert not found.outputs['labelled'].frames.reason.any()
    assert found.outputs['labelled'].frames.uid.tolist() == frames.uid[[0, 1, 4, 5]].tolist()


def test_a_recovery_gets_the_frame_and_the_reason(label):
    found = label([['ok'], ['scf_not_converged', 'ok']])
    process, inputs = found.submitted[-1]
    assert process is RecoverWorkChain
    assert inputs['reason'].value == 'scf_not_converged'
    assert inputs['structure'].get_ase().cell[0, 1] == pytest.approx(aluminium(2).cells[1, 0, 1])
    assert set(inputs['pseudos']) == {'Al'}


def test_failures_above_the_limit_stop_with_everything_attached(label):
    found = label([['ok'], ['stopped_early', 'job_lost'], ['force_cap']], max_failure_rate=0.5)
    assert found.label == 'ERROR_FAILURE_RATE'
    assert found.exit_code.message == (
        '2 of 3 frames failed, more than the allowed rate of 0.5: 1 job_lost (of a remedy), 1 force_cap (of a job)'
    )
    assert (len(found.outputs['labelled']), len(found.outputs['quarantined'])) == (1, 2)
    assert found.outputs['report']['n_failed'] == 2


def test_a_run_that_is_lost_buys_no_more_recoveries(label):
    found = label([['stopped_early', 'job_lost']] * 9, max_failure_rate=0.3, max_concurrent=1)
    assert found.label == 'ERROR_FAILURE_RATE'
    assert found.names.count('RecoverWorkChain') == 3  # with the third loss the rate is above 0.3
    assert found.outputs['report']['n_failed'] == 9


def test_when_all_frames_failed_there_is_a_report(label):
    found = label([['force_cap'], ['force_cap']])
    assert found.label == 'ERROR_FAILURE_RATE'
    assert 'labelled' not in found.outputs
    assert found.outputs['report']['n_labelled'] == 0


def test_the_protocol_reaches_the_jobs(walk, fake_process, lda_family, worker_code):
    given = {'pseudo_family': lda_family.label, 'cutoff_wfc': 15, 'protocol': 'stringent', 'reuse': False, 'degauss': 0.03}
    found = walk(
        LabelWorkChain,
        Children(fake_process, [['ok']]),
        code=worker_code,
        worker_code=worker_code,
        frames=FramesData(aluminium(1)),
        **theory_of(orm.Dict(given)),
    )
    (_, inputs), *_ = found.submitted
    assert [inputs['settings'][name] for name in ('kpoints_distance', 'degauss', 'mixing_beta')] == [0.1, 0.03, 0.4]


def refused(walk, worker_code, frames, **values):
    good = {'pseudo_family': 'mlip-demo-lda', 'cutoff_wfc': 15}
    given = {**theory_of(orm.Dict(good)), 'settings': orm.Dict({**good, **values})}
    with pytest.raises(ValueError, match='Error occurred validating port') as caught:
        walk(LabelWorkChain, None, code=worker_code, worker_code=worker_code, frames=FramesData(frames), **given)
    return str(caught.value)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'cutoff_wfc': -15}, 'cutoff_wfc: got -15;'),
        ({'kpoints_distance': 0}, 'kpoints_distance: got 0; input should be greater than 0'),
        ({'degauss': -0.01}, 'degauss: got -0.01; input should be greater than 0'),
        ({'protocol': 'quick'}, "protocol: got 'quick'; input should be 'fast', 'balanced' or 'stringent'"),
        ({'charge': 1}, 'charge: got 1; must be 0: the energy of a charged periodic cell'),
    ],
)
def test_bad_settings_are_refused(walk, worker_code, lda_family, values, message):
    assert message in refused(walk, worker_code, aluminium(1), **values)


def test_a_structure_that_is_not_periodic_is_refused(walk, worker_code, lda_family):
    slab = bulk('Al', a=4.0, cubic=True)
    slab.pbc = (True, True, False)
    slab.info['config_type'] = 'surface'
    message = refused(walk, worker_code, Frames.from_atoms([bulk('Al', a=4.0), slab]))
    assert (
        'frames: 1 of 2 are not periodic in three directions, the first is frame 1 (surface, pbc [True, True, False])' in message
    )


@pytest.fixture
def real(worker_code, pw_code, lda_family):
    def run(frames, **values):
        inputs = {'code': pw_code, 'worker_code': worker_code, 'frames': FramesData(frames)}
        _, node = run_get_node(LabelWorkChain, **theory_of(orm.Dict(settings(reuse=True, **values))), **inputs)
        assert node.is_finished_ok, node.exit_message
        return node

    return run


@pytest.mark.espresso
def test_a_label_of_pw_is_what_ase_reads_from_its_output(real, lda_family, tmp_path):
    frames = aluminium(1, seed=11)
    node = real(frames, degauss=0.021)
    labelled = node.outputs.labelled.frames
    calculation = orm.load_node(str(labelled.label_uuid[0]))
    assert calculation.process_label == 'PwBatchCalculation'
    with calculation.outputs.retrieved.base.repository.open(pw_batch.RESULTS, 'rb') as handle:
        result = io.BytesIO(read_frame_archive(handle)[0])
    (tmp_path / 'pw.out').write_bytes(zipfile.ZipFile(result).read(pw_batch.STDOUT))
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
    assert (level['cutoff_wfc'], level['degauss']) == (15, 0.021)
    assert level['code_version']
    assert calculation.outputs.remote_folder.is_cleaned


@pytest.mark.espresso
def test_labels_of_earlier_runs_are_reused_and_counted(real):
    first = real(aluminium(2, seed=12), degauss=0.022)
    frames = Frames.concatenate([aluminium(1, seed=13), aluminium(2, seed=12).replace(round=3, config_type='md')])
    second = real(frames, degauss=0.022)
    report = second.outputs.report
    assert (report['n_reused'], report['n_labelled']) == (2, 3)
    labelled = second.outputs.labelled.frames
    assert labelled.energy[1:].tolist() == first.outputs.labelled.frames.energy.tolist()
    assert labelled.label_uuid[1:].tolist() == first.outputs.labelled.frames.label_uuid.tolist()
    assert (labelled.config_type[1:].tolist(), labelled.round[1:].tolist()) == (['md', 'md'], [3, 3])
    assert list(report['levels_of_theory']) == sorted(set(labelled.fingerprint.tolist()))
    third = real(frames, degauss=0.022)
    assert third.outputs.report['n_reused'] == 3
    assert not [child for child in third.called if isinstance(child, orm.CalcJobNode)]


@pytest.mark.espresso
def test_another_level_of_theory_is_not_reused(real):
    real(aluminium(1, seed=14), degauss=0.023)
    assert real(aluminium(1, seed=14), degauss=0.024).outputs.report['n_reused'] == 0


@pytest.mark.espresso
def test_another_version_of_the_program_is_not_mixed_with_reused_labels(real, worker_code, pw_code, monkeypatch):
    """The program was exchanged in place: the profile cannot know, the labels tell."""
    real(aluminium(1, seed=15), degauss=0.025)
    original = label_pw.level_of_theory
    monkeypatch.setattr(label_pw, 'level_of_theory', lambda *args: {**original(*args), 'code_version': '7.5'})
    frames = Frames.concatenate([aluminium(1, seed=15), aluminium(1, seed=16)])
    _, node = run_get_node(
        LabelWorkChain,
        code=pw_code,
        worker_code=worker_code,
        frames=FramesData(frames),
        **theory_of(orm.Dict(settings(reuse=True, degauss=0.025))),
    )
    assert node.exit_status == LabelWorkChain.exit_codes.ERROR_MIXED_LEVELS.status
    assert 'different levels of theory, which are never mixed: code_version: ' in node.exit_message
    assert '6.7MaX (' in node.exit_message
    assert '7.5 (' in node.exit_message
    assert 'label.reuse: false' in node.exit_message
    assert len(node.outputs.labelled) == 2
