from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState

from aiida_mlip_autopipe.cli.summary import funnel_lines, round_entries, round_lines, state_lines
from aiida_mlip_autopipe.common.units import GPA
from tests.cli.conftest import MD, SELECTION

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
        '  select    9 generated -> 8 sane -> 7 unique -> 5 selected',  # of an older version, without reasons
        '  label     5 bought, 2 failed',
        '            1 force_cap: A force is above `label.force_cap`.',
        '            1 scf_not_converged: Self-consistency was not reached.',
        '  old potential on the new labels   RMSE energy 12.30 meV/atom, force 56.7 meV/Å',
        '  train     20 frames          RMSE energy 12.30 meV/atom, force 56.7 meV/Å',
        '  test      6 frames, frozen  RMSE energy 12.30 meV/atom, force 56.7 meV/Å, stress 0.250 GPa',
    ]


def test_a_reason_of_an_older_version_is_told_without_a_sentence():
    assert round_lines({**ROUND, 'failures_by_reason': {'output_files': 2}})[4] == '            2 output_files'


def test_errors_that_are_not_known_are_told():
    assert round_lines({**ROUND, 'train_errors': None})[-2] == '  train     20 frames          RMSE unknown'


def test_the_ladder_is_told():
    explore = {
        **ROUND['explore'],
        'ladder': [{'reached': 900.0}, {'reached': 900.0}, {'reached': 300.0}, {'reached': None}],
        'reasons': {'finished': 5, 'temperature': 2, 'grade': 1},
    }
    assert round_lines({**ROUND, 'explore': explore})[2] == (
        '            of 4 starts passed: 2 up to 900 K, 1 up to 300 K, 1 none of them; ended early: 2 temperature, 1 grade'
    )


def test_labels_that_taught_nothing_are_told():
    ledger = [
        {'config_type': 'md', 'temperature': 900.0, 'bought': 4, 'known': 3},
        {'config_type': 'rattle', 'temperature': None, 'bought': 1, 'known': 0},
    ]
    assert round_lines({**ROUND, 'ledger': ledger})[7] == (
        '            taught nothing (predicted within its standard deviation): 3 of 4 md at 900 K, 0 of 1 rattle'
    )


def test_the_verdict_is_told(fake_process):
    verdict = {'sentence': 'All 6 starts passed 900 K.', 'round': 2}
    report = orm.Dict({'stop_reason': 'converged', 'labels_total': 60, 'verdict': verdict})
    lines = state_lines(fake_process(orm.WorkChainNode, label='ActiveLearningWorkChain', outputs={'report': report}))
    place = lines.index('  stopped because: converged')
    assert lines[place + 1 : place + 3] == ['    All 6 starts passed 900 K.', '    The result is the potential of round 2.']


def test_the_funnel_is_told_with_its_reasons():
    assert funnel_lines(SELECTION['counts'], SELECTION['by_config_type'], SELECTION['reasons_by_config_type']) == [
        '  select    522 generated -> 503 sane -> 443 unique -> 390 inside -> 39 selected',
        '            not: 18 short_bond, 58 duplicate, 2 already_labelled, 12 force_cap, 40 energy_window, 351 not_selected, '
        '1 volume_window, 1 flat_cell',
        '            rattle        240 -> 222 -> 190 -> 170 -> 14   '
        'not: 18 short_bond, 30 duplicate, 2 already_labelled, 12 force_cap, 8 energy_window, 156 not_selected',
        '            sqs           40 -> 40 -> 22 -> 22 -> 6   not: 18 duplicate, 16 not_selected',
        '            strain        160 -> 160 -> 150 -> 119 -> 12   '
        'not: 10 duplicate, 30 energy_window, 1 volume_window, 107 not_selected',
        '            surrogate_md  80 -> 80 -> 80 -> 78 -> 6   not: 2 energy_window, 72 not_selected',
        '            vacancy       2 -> 1 -> 1 -> 1 -> 1   not: 1 flat_cell',
    ]


def test_a_round_has_its_funnel_with_reasons():
    lines = round_lines(
        {
            **ROUND,
            'funnel': MD['counts'],
            'funnel_by_config_type': MD['by_config_type'],
            'funnel_reasons': MD['reasons_by_config_type'],
        }
    )
    assert lines[2:5] == [
        '  select    31 generated -> 31 sane -> 24 unique -> 24 inside -> 12 selected',
        '            not: 7 already_labelled, 12 not_selected',
        '            md  31 -> 31 -> 24 -> 24 -> 12   not: 7 already_labelled, 12 not_selected',
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
