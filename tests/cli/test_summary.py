from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState

from aiida_mlip_autopipe.cli.summary import round_entries, round_lines, state_lines
from aiida_mlip_autopipe.common.units import GPA

ERRORS = {'energy_rmse': 0.0123, 'force_rmse': 0.0567, 'stress_rmse': None}
ROUND = {
    'round': 1,
    'explore': {'n_trajectories': 4, 'temperatures': [300.0, 900.0], 'n_stopped': 1, 'n_candidates': 9, 'gamma_max': 12.345},
    'funnel': {'generated': 9, 'sane': 8, 'unique': 7, 'selected': 5},
    'labels_bought': 5,
    'labels_failed': 2,
    'failures_by_reason': {'force_cap': 1, 'scf_not_converged': 1},
    'acquisition': ERRORS,
    'train_errors': ERRORS,
    'test_errors': {**ERRORS, 'stress_rmse': 0.25 * GPA},
    'n_train': 20,
    'n_test': 6,
}


def test_a_round_is_told():
    assert round_lines(ROUND) == [
        'round 1',
        '  explore   4 trajectories at 300, 900 K, 1 stopped, 9 candidates, highest grade 12.3',
        '  select    9 generated -> 8 sane -> 7 unique -> 5 selected',
        '  label     5 bought, 2 failed: 1 force_cap, 1 scf_not_converged',
        '  old potential on the new labels   RMSE energy 12.30 meV/atom, force 56.7 meV/Å',
        '  train     20 frames          RMSE energy 12.30 meV/atom, force 56.7 meV/Å',
        '  test      6 frames, frozen  RMSE energy 12.30 meV/atom, force 56.7 meV/Å, stress 0.250 GPa',
    ]


def test_an_idle_round_is_told():
    idle = {
        **ROUND,
        'explore': {**ROUND['explore'], 'n_candidates': 0, 'gamma_max': None},
        **dict.fromkeys(('funnel', 'acquisition', 'train_errors', 'test_errors')),
        'labels_bought': 0,
        'labels_failed': 0,
        'failures_by_reason': {},
    }
    assert round_lines(idle) == [
        'round 1',
        '  explore   4 trajectories at 300, 900 K, 1 stopped, 0 candidates, highest grade unknown',
        '  label     0 bought, 0 failed',
    ]


def test_a_run_that_ended_well(finished_run):
    node = finished_run()
    lines = state_lines(node)
    assert lines[:3] == [
        f'run {node.pk} (ActiveLearningWorkChain): finished',
        '  stopped because: converged',
        '  labels bought: 8',
    ]
    assert f'  potential: PK {node.outputs.potential.pk}' in lines
    assert not any('failed' in line for line in lines)


def test_a_run_that_failed(finished_run):
    lines = state_lines(finished_run(status=440, message='Round 0: training failed', leave_out=['potential', 'report']))
    assert lines[1] == '  failed: Round 0: training failed'
    assert not any('potential' in line for line in lines)


def test_a_run_that_waits(fake_process):
    node = fake_process(orm.WorkChainNode, state=ProcessState.WAITING, label='OneShotWorkChain')
    assert state_lines(node) == [f'run {node.pk} (OneShotWorkChain): waiting']


def test_entries_are_found_while_the_run_goes_on(fake_process):
    run = fake_process(orm.WorkChainNode, state=ProcessState.WAITING)
    for number, label in ((1, 'summarize_round'), (0, 'summarize_round'), (7, 'merge_frames')):
        call = orm.CalcFunctionNode()
        call.set_process_label(label)
        call.base.links.add_incoming(run, LinkType.CALL_CALC, f'call_{number}')
        call.store()
        result = orm.Dict({'round': number})
        result.base.links.add_incoming(call, LinkType.CREATE, 'result')
        result.store()
        call.set_process_state(ProcessState.FINISHED)
        call.set_exit_status(0)
    assert [entry['round'] for entry in round_entries(run)] == [0, 1]
