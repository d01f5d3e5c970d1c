from pathlib import Path

import pytest
from aiida import orm

from aiida_mlip_autopipe.cli.setup import ensure_code
from aiida_mlip_autopipe.science.stopping import RoundSummary
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain, _history
from tests.workflows.conftest import Children

ROUND_0 = ['GenerateCalculation', 'SurrogateCalculation', 'LabelAseCalculation', 'TrainWorkChain']
ROUND_N = ['ExploreWorkChain', 'SurrogateCalculation', 'LabelAseCalculation', 'TrainWorkChain', 'EvaluateCalculation']
LOOP = {'max_rounds': 3, 'max_labels': 22, 'initial_labels': 12, 'labels_per_round': 5, 'patience': 9}


@pytest.fixture
def loop(walk, children, config):
    return lambda **limits: walk(ActiveLearningWorkChain, children, config=config(loop={**LOOP, **limits}))


@pytest.fixture(scope='module')
def plain(walk, fake_process, emt_frames, potential_folder, full_config, worker_code):
    """The loop in which nothing goes wrong, walked once."""
    config = orm.Dict(full_config(loop=LOOP))
    return walk(ActiveLearningWorkChain, Children(fake_process, emt_frames, potential_folder), config=config)


def inputs_of(found, name):
    return [inputs for process, inputs in found.submitted if process.__name__ == name]


def test_rounds_follow_each_other(plain):
    found = plain
    assert found.exit_code is None
    assert found.names == ROUND_0 + 2 * ROUND_N
    assert set(found.outputs) == {'potential', 'frames', 'train_frames', 'test_frames', 'references', 'report'}
    assert [entry['round'] for entry in found.outputs['report']['rounds']] == [0, 1, 2]


def test_the_last_round_gets_what_is_left_of_the_budget(plain):
    found = plain
    assert [inputs['budget'].value for inputs in inputs_of(found, 'SurrogateCalculation')] == [12, 5, 3]
    report = found.outputs['report'].get_dict()
    assert [entry['labels_bought'] for entry in report['rounds']] == [14, 5, 3]
    assert [entry['labels_total'] for entry in report['rounds']] == [14, 19, 22]
    assert (report['labels_total'], report['stop_reason']) == (22, 'budget_exhausted')


def test_only_the_first_candidates_walk_with_the_surrogate(walk, children, config):
    """Those of later rounds come from MD with the potential."""
    walks = {'kind': 'md', 'temperature': 900.0, 'steps': 7, 'timestep': 1.0}
    found = walk(ActiveLearningWorkChain, children, config=config(loop=LOOP, select={'model': 'small', 'pre_explore': walks}))
    settings = [inputs['settings'].get_dict() for inputs in inputs_of(found, 'SurrogateCalculation')]
    assert [one['pre_explore']['kind'] for one in settings] == ['md', 'none', 'none']
    assert settings[0]['pre_explore'] == walks
    assert [one['model'] for one in settings] == ['small'] * 3


def test_a_spent_budget_ends_the_loop_after_round_0(loop):
    found = loop(max_labels=14)
    assert found.names == ROUND_0
    assert found.outputs['report']['stop_reason'] == 'budget_exhausted'


def test_later_rounds_know_what_is_labelled(plain):
    found = plain
    known = [len(inputs['known']) if 'known' in inputs else 0 for inputs in inputs_of(found, 'SurrogateCalculation')]
    assert known == [0, 14, 19]


def test_later_rounds_select_by_the_newest_potential(plain):
    """Round 0 has none; then it is the one that explored."""
    used = [inputs.get('potential') for inputs in inputs_of(plain, 'SurrogateCalculation')]
    explored = [inputs['potential'].uuid for inputs in inputs_of(plain, 'ExploreWorkChain')]
    assert used[0] is None
    assert [node.uuid for node in used[1:]] == explored
    trained = [len(inputs['train']) for inputs in inputs_of(plain, 'SurrogateCalculation')[1:]]
    assert trained == [len(fit['train_frames']) for fit in inputs_of(plain, 'TrainWorkChain')[:-1]], 'without the test set'


def test_the_test_set_stays_and_the_training_set_grows(plain):
    fits = inputs_of(plain, 'TrainWorkChain')
    assert len({fit['test_frames'].uuid for fit in fits}) == 1
    assert len({fit['references'].uuid for fit in fits}) == 1
    sizes = [len(fit['train_frames']) for fit in fits]
    assert sizes[1:] == [sizes[0] + 5, sizes[0] + 8]


def test_the_old_potential_is_tested_on_labels_it_has_not_seen(plain):
    found = plain
    tests, fits = inputs_of(found, 'EvaluateCalculation'), inputs_of(found, 'TrainWorkChain')
    assert [len(inputs['frames']) for inputs in tests] == [5, 3]
    explored = [inputs['potential'].uuid for inputs in inputs_of(found, 'ExploreWorkChain')]
    assert [inputs['potential'].uuid for inputs in tests] == explored
    first_fit = set(fits[0]['train_frames'].frames.uid.tolist())
    assert not first_fit & set(tests[0]['frames'].frames.uid.tolist())


def test_starts_come_from_the_training_set_only(plain):
    found = plain
    test = set(found.outputs['test_frames'].frames.lineage.tolist())
    for inputs in inputs_of(found, 'ExploreWorkChain'):
        starts = inputs['starts'].frames
        assert len(starts) == 2
        assert not set(starts.lineage.tolist()) & test


def test_no_two_rounds_share_a_seed(plain):
    seeds = [inputs['seed'].value for inputs in inputs_of(plain, 'SurrogateCalculation')]
    assert seeds == [7, 1007, 2007]


def test_without_candidates_the_round_is_idle(loop, children):
    children.n_candidates = 0
    found = loop()
    assert found.names == [*ROUND_0, 'ExploreWorkChain']
    report = found.outputs['report'].get_dict()
    assert report['stop_reason'] == 'converged'
    idle = report['rounds'][1]
    assert (idle['labels_bought'], idle['labels_total'], idle['test_errors'], idle['funnel']) == (0, 14, None, None)
    assert 'potential' in found.outputs


def test_without_candidates_and_above_the_target_the_coverage_is_exhausted(loop, children):
    children.n_candidates = 0
    assert loop(force_rmse_target=0.05).outputs['report']['stop_reason'] == 'coverage_exhausted'


def test_candidates_of_which_none_is_new_end_the_loop(loop, children):
    original = children._select

    def nothing_later(inputs, kind):
        children.nothing_selected = 'known' in inputs
        return original(inputs, kind)

    children._select = nothing_later
    found = loop()
    assert found.names == [*ROUND_0, 'ExploreWorkChain', 'SurrogateCalculation']
    report = found.outputs['report'].get_dict()
    assert report['stop_reason'] == 'coverage_exhausted'
    assert report['rounds'][1]['funnel']['selected'] == 0
    assert report['rounds'][1]['labels_bought'] == 0


def test_no_progress_is_stalled(loop):
    assert loop(patience=1).outputs['report']['stop_reason'] == 'stalled'


@pytest.mark.parametrize(
    ('stage', 'succeeds', 'label'),
    [
        ('ExploreWorkChain', 0, 'ERROR_EXPLORE_FAILED'),
        ('SurrogateCalculation', 1, 'ERROR_SELECT_FAILED'),
        ('LabelAseCalculation', 1, 'ERROR_LABEL_FAILED'),
        ('TrainWorkChain', 1, 'ERROR_TRAIN_FAILED'),
    ],
)
def test_a_failure_in_round_1_keeps_the_results_of_round_0(loop, children, stage, succeeds, label):
    children.fail[stage] = succeeds
    found = loop()
    assert found.label == label
    assert found.exit_code.message.startswith('Round 1: ')
    assert found.exit_code.message.endswith(f'{stage} broke')
    assert {'potential', 'frames', 'train_frames', 'test_frames', 'references', 'report'} <= set(found.outputs)
    report = found.outputs['report'].get_dict()
    assert [entry['round'] for entry in report['rounds']] == [0]
    assert report['stop_reason'] == 'failed'


def test_labels_of_a_round_whose_fit_failed_are_not_lost(loop, children):
    children.fail['TrainWorkChain'] = 1
    assert len(loop().outputs['frames']) == 19


def test_an_old_potential_that_cannot_be_tested_does_not_stop_the_loop(loop, children):
    children.fail['EvaluateCalculation'] = 0
    found = loop()
    assert found.exit_code is None
    assert [entry['acquisition'] for entry in found.outputs['report']['rounds']] == [None] * 3


def entry(loop_round, **values):
    blank = {'explore': None, 'funnel': None, 'acquisition': None, 'test_errors': None}
    return {'round': loop_round, 'labels_total': 10, **blank, **values}


def test_history_of_round_0():
    (found,) = _history([entry(0, funnel={'selected': 8}, test_errors={'force_rmse': 0.2})])
    assert found == RoundSummary(
        round=0, labels_total=10, n_candidates=None, n_selected=None, test_force_rmse=0.2, acquisition_force_rmse=None
    )


def test_history_of_a_trained_round():
    first = entry(0, test_errors={'force_rmse': 0.2})
    second = entry(
        1,
        explore={'n_candidates': 9},
        funnel={'selected': 4},
        acquisition={'force_rmse': 0.5},
        test_errors={'force_rmse': 0.1},
    )
    newest = _history([first, second])[-1]
    assert (newest.n_candidates, newest.n_selected) == (9, 4)
    assert (newest.test_force_rmse, newest.acquisition_force_rmse) == (0.1, 0.5)


def test_history_of_an_idle_round_keeps_the_test_error():
    newest = _history([entry(0, test_errors={'force_rmse': 0.2}), entry(1, explore={'n_candidates': 0})])[-1]
    assert (newest.n_candidates, newest.n_selected, newest.test_force_rmse) == (0, 0, 0.2)


@pytest.fixture
def pace(children, potential_folder, localhost):
    """Children of which the training gives potentials of Pacemaker, and a code for it and for LAMMPS."""
    ensure_code('program-of-loop', localhost, Path('/bin/true'), None)
    children._potential = lambda: potential_folder(grade_lines=('pair_style pace/extrapolation',))
    return children


@pytest.mark.parametrize(
    ('pacemaker', 'goes_on'), [({}, True), ({'initial_potential': 'none'}, False)], ids=['from a linear fit', 'from scratch']
)
def test_later_rounds_start_from_the_potential_of_the_round_before(walk, pace, config, pacemaker, goes_on):
    train = {'trainer': 'mlip_autopipe.pacemaker', 'code': 'program-of-loop@localhost', 'pacemaker': pacemaker}
    explore = {'explorer': 'mlip_autopipe.lammps_pace', 'code': 'program-of-loop@localhost'}
    found = walk(ActiveLearningWorkChain, pace, config=config(train=train, explore=explore, loop=LOOP))
    first, second, third = inputs_of(found, 'TrainWorkChain')
    tested = [inputs['potential'].uuid for inputs in inputs_of(found, 'EvaluateCalculation')]
    starts = [inputs['initial_potential'].uuid for inputs in (second, third) if 'initial_potential' in inputs]
    assert 'initial_potential' not in first
    assert starts == (tested if goes_on else []), 'the old potential is tested on the new labels, and gone on with'


def test_a_trainer_that_cannot_go_on_gets_no_start(plain):
    assert not any('initial_potential' in inputs for inputs in inputs_of(plain, 'TrainWorkChain'))
