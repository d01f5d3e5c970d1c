"""The convergence study: its outline with made-up jobs, and once with the real `pw.x`."""

import numpy as np
import pytest
from aiida import orm
from aiida.engine import ProcessState, run_get_node
from ase.build import bulk

from aiida_mlip_autopipe.common.reasons import Reason
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.workflows.converge import MAX_STARTS, ConvergeWorkChain
from tests.aiida_fixtures import theory_of

SERIES = {'cutoffs_wfc': [15, 20, 30], 'kpoints_distances': [0.6, 0.4, 0.2]}
N_SETTINGS = 5
SHEARED = np.array([[1, 0.03, 0], [0.03, 1, 0], [0, 0, 1.02]])


def settings(**values):
    given = {'pseudo_family': 'mlip-demo-lda', 'cutoff_wfc': 20, 'kpoints_distance': 0.4, 'max_concurrent': 2, **values}
    return DFTConfig.model_validate(given).model_dump()


def aluminium():
    base = bulk('Al', a=4.0)
    strained = base.copy()
    strained.set_cell(base.cell.array @ SHEARED, scale_atoms=True)
    rattled = base.repeat((2, 1, 1))
    rattled.positions[1] += [0.1, 0.05, 0.0]
    for atoms, kind in ((base, 'sqs'), (strained, 'strain'), (rattled, 'rattle')):
        atoms.info['config_type'] = kind
    return FramesData.from_atoms([base, strained, rattled])


class Jobs:
    """Batch jobs that end as told: `plan[cutoff, distance]` lists what happens at each start of that setting.

    `ok`, a process state, or reasons by index, where `not_started` is no failure but a structure that was not reached.
    """

    def __init__(self, fake_process, error):
        self.make, self.error = fake_process, error
        self.plan = {}
        self.points = []

    def __call__(self, process, inputs):
        values = inputs['settings'].get_dict()
        point = (values['cutoff_wfc'], values['kpoints_distance'])
        self.points.append((point, inputs['indices'].get_list()))
        steps = self.plan.get(point, [])
        outcome = steps.pop(0) if steps else 'ok'
        if isinstance(outcome, ProcessState):
            return self.make(state=outcome)
        reasons = {} if outcome == 'ok' else outcome
        labelled = [index for index in inputs['indices'].get_list() if index not in reasons]
        frames = inputs['frames'].frames
        atoms = [self.labelled(frames.atoms(index), index, values['cutoff_wfc']) for index in labelled]
        report = {
            'labelled': labelled,
            'not_started': [index for index, reason in reasons.items() if reason == 'not_started'],
            'failures': [{'index': i, 'reason': reason} for i, reason in reasons.items() if reason != 'not_started'],
        }
        outputs = {'report': orm.Dict(report), **({'labelled': FramesData.from_atoms(atoms)} if atoms else {})}
        return self.make(outputs=outputs, status=520 if reasons else 0)

    def labelled(self, atoms, index, cutoff):
        energy = self.error / cutoff**3 if index == 1 else 0.0
        return Label(energy * len(atoms), np.zeros((len(atoms), 3)), np.zeros(6)).put_on(atoms, fingerprint='f')


@pytest.fixture
def jobs(fake_process):
    return Jobs(fake_process, error=20.0)


@pytest.fixture
def study(walk, jobs, lda_family, worker_code):
    def run(converge=SERIES, frames=None, **values):
        return walk(
            ConvergeWorkChain,
            jobs,
            code=worker_code,
            worker_code=worker_code,
            frames=frames or aluminium(),
            **theory_of(orm.Dict(settings(**values))),
            converge=orm.Dict(converge),
        )

    return run


def test_one_job_for_each_setting_a_few_at_a_time(study, jobs):
    found = study({**SERIES, 'target_energy': 3})
    assert found.names == ['PwBatchCalculation'] * N_SETTINGS
    assert [point for point, _ in jobs.points] == [(15, 0.4), (20, 0.4), (30, 0.4), (20, 0.6), (20, 0.2)]
    assert all(indices == [0, 1, 2] for _, indices in jobs.points)
    assert [len(step) for step in found.steps if step] == [2, 2, 1]
    assert all('Al' in inputs['pseudos'] for _, inputs in found.submitted)


def test_proposals(study):
    found = study({**SERIES, 'target_energy': 3})
    assert found.exit_code is None
    series = found.outputs['report']['series']
    assert [row['relative_worst'] for row in series['cutoff_wfc']['rows']] == pytest.approx(
        [20 / c**3 - 20 / 30**3 for c in (15, 20, 30)]
    )
    assert (series['cutoff_wfc']['proposal'], series['kpoints_distance']['proposal']) == (20, 0.6)


def test_when_nothing_is_tight_enough_it_says_so(study):
    found = study({**SERIES, 'target_energy': 1})
    assert found.label == 'ERROR_NOT_CONVERGED'
    assert 'cutoff_wfc: not converged: no value below the tightest, 30,' in found.exit_code.message
    assert 'kpoints_distance' not in found.exit_code.message
    assert found.outputs['report']['series']['cutoff_wfc']['proposal'] is None


def test_k_points_that_cannot_be_told_apart_are_no_convergence(study):
    found = study({**SERIES, 'kpoints_distances': [0.4, 0.399], 'target_energy': 3})
    assert found.label == 'ERROR_NOT_CONVERGED'
    assert 'kpoints_distance: nothing to compare: 1 settings' in found.exit_code.message


def test_a_structure_that_fails_is_left_out_and_named(study, jobs):
    jobs.plan[30, 0.4] = [{2: 'scf_not_converged'}]
    found = study({**SERIES, 'target_energy': 3})
    assert found.label == 'ERROR_PARTLY_COMPARED'
    assert found.exit_code.message == '1 labels are missing and were left out of the comparison: 1 scf_not_converged'
    report = found.outputs['report']
    assert report['series']['cutoff_wfc']['frames'] == [0, 1]
    assert report['series']['kpoints_distance']['frames'] == [0, 1, 2]
    assert [(entry['cutoff_wfc'], entry['index']) for entry in report['left_out']] == [(30, 2)]


def test_what_was_not_reached_goes_into_another_job(study, jobs):
    jobs.plan[15, 0.4] = [{1: Reason.OUT_OF_TIME, 2: 'not_started'}, 'ok']
    found = study({**SERIES, 'target_energy': 3})
    assert found.exit_code is None
    assert jobs.points[-1] == ((15, 0.4), [1, 2])
    assert len(found.submitted) == N_SETTINGS + 1
    assert found.outputs['report']['series']['cutoff_wfc']['frames'] == [0, 1, 2]


@pytest.mark.parametrize('state', [ProcessState.EXCEPTED, ProcessState.KILLED])
def test_a_job_that_dies_is_started_again(study, jobs, state):
    jobs.plan[20, 0.4] = [state, 'ok']
    found = study({**SERIES, 'target_energy': 3})
    assert found.exit_code is None
    assert jobs.points.count(((20, 0.4), [0, 1, 2])) == 2


def test_a_setting_that_never_works_leaves_the_others(study, jobs):
    jobs.plan[15, 0.4] = [ProcessState.KILLED] * MAX_STARTS
    found = study({**SERIES, 'target_energy': 3})
    assert found.label == 'ERROR_PARTLY_COMPARED'
    assert jobs.points.count(((15, 0.4), [0, 1, 2])) == MAX_STARTS
    report = found.outputs['report']
    assert [row['value'] for row in report['series']['cutoff_wfc']['rows']] == [20, 30]
    assert len(report['left_out']) == 3
    assert (report['left_out'][0]['reason'], report['left_out'][0]['detail']) == ('job_lost', 'killed')


def test_when_all_fails_there_is_a_report_all_the_same(study, jobs):
    for point in [(15, 0.4), (20, 0.4), (30, 0.4), (20, 0.6), (20, 0.2)]:
        jobs.plan[point] = [dict.fromkeys(range(3), 'scf_not_converged')]
    found = study()
    assert found.label == 'ERROR_NOTHING_TO_COMPARE'
    assert found.exit_code.message == f'Too few structures were labelled: {3 * N_SETTINGS} scf_not_converged'
    assert len(found.outputs['report']['left_out']) == 3 * N_SETTINGS


@pytest.mark.parametrize(
    ('converge', 'said'),
    [({'cutoffs_wfc': [20]}, 'cutoffs_wfc: got'), ({'kpoints_distances': [0, 1]}, 'kpoints_distances.0: got 0')],
)
def test_bad_series_are_refused(study, converge, said):
    with pytest.raises(ValueError, match=said):
        study(converge)


def test_one_structure_is_refused(study):
    with pytest.raises(ValueError, match='frames: got 1; a convergence study compares at least 2 structures'):
        study(frames=FramesData(aluminium().frames.take([0])))


@pytest.mark.espresso
def test_aluminium_by_the_real_program(worker_code, pw_code, lda_family):
    converge = {'cutoffs_wfc': [8, 12, 20], 'kpoints_distances': [0.6, 0.5, 0.3], 'target_energy': 5, 'target_force': 20}
    outputs, node = run_get_node(
        ConvergeWorkChain,
        code=pw_code,
        worker_code=worker_code,
        frames=aluminium(),
        **theory_of(orm.Dict(settings(cutoff_wfc=12, kpoints_distance=0.5))),
        converge=orm.Dict({**converge, 'target_stress': None}),
    )
    report = outputs['report'].get_dict()
    assert (report['n_calculations'], report['left_out']) == (15, [])
    cutoffs = report['series']['cutoff_wfc']['rows']
    # The total energy falls and the forces settle as the basis grows; too few plane waves for the cell press it together.
    assert cutoffs[0]['energy_worst'] > cutoffs[1]['energy_worst'] > cutoffs[2]['energy_worst'] == 0
    assert cutoffs[0]['force_worst'] > cutoffs[1]['force_worst'] > 0
    assert cutoffs[0]['pressure_mean'] < -0.1 * GPA
    distances = report['series']['kpoints_distance']['rows']
    assert distances[0]['relative_worst'] > 0
    assert report['seconds'] > 0
    assert node.exit_status in (0, ConvergeWorkChain.exit_codes.ERROR_NOT_CONVERGED.status)
    labels = [child for child in node.called if child.process_label == 'PwBatchCalculation']
    at = [n for n in labels if n.inputs.settings['kpoints_distance'] == 0.5]
    energies = {n.inputs.settings['cutoff_wfc']: n.outputs.labelled.frames.energy[0] for n in at}
    assert energies[8] > energies[12] > energies[20]
