from pathlib import Path

import pytest
from aiida import orm

from aiida_mlip_autopipe.cli.setup import ensure_code
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain
from tests.workflows.conftest import Children

ROUND_0 = ['GenerateCalculation', 'GenerateCalculation', 'SelectCalculation', 'LabelAseCalculation', 'TrainWorkChain']
ROUND_N = ['ExploreWorkChain', 'SelectCalculation', 'LabelAseCalculation', 'TrainWorkChain', 'EvaluateCalculation']
LOOP = {
    'max_rounds': 3,
    'max_labels': 28,
    'initial_labels': 12,
    'labels_per_round': 5,
    'patience': 9,
    'test_labels': 6,
    'test_md_labels': 0,
}


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
    assert found.names == [*ROUND_0, *ROUND_N, *ROUND_N, 'ExploreWorkChain'], 'the last potential is examined, too'
    assert set(found.outputs) == {'potential', 'frames', 'train_frames', 'test_frames', 'references', 'report'}
    assert [entry['round'] for entry in found.outputs['report']['rounds']] == [0, 1, 2, 3]
    assert [entry['funnel'] is None for entry in found.outputs['report']['rounds']] == [False, False, False, True]


def test_the_last_round_gets_what_is_left_of_the_budget(plain):
    found = plain
    assert [inputs['budget'].value for inputs in inputs_of(found, 'SelectCalculation')] == [12, 5, 3]
    report = found.outputs['report'].get_dict()
    assert [entry['labels_bought'] for entry in report['rounds']] == [20, 5, 3, 0]
    assert [entry['labels_total'] for entry in report['rounds']] == [20, 25, 28, 28]
    assert (report['labels_total'], report['stop_reason']) == (28, 'budget_exhausted')


def test_only_the_first_candidates_walk_with_the_surrogate(walk, children, config):
    """Those of later rounds come from MD with the potential."""
    walks = {'kind': 'md', 'temperature': 900.0, 'steps': 7, 'timestep': 1.0}
    found = walk(ActiveLearningWorkChain, children, config=config(loop=LOOP, select={'model': 'small', 'pre_explore': walks}))
    settings = [inputs['settings'].get_dict() for inputs in inputs_of(found, 'SelectCalculation')]
    assert [one['pre_explore']['kind'] for one in settings] == ['md', 'none', 'none']
    assert settings[0]['pre_explore'] == walks
    assert [one['model'] for one in settings] == ['small'] * 3


def test_a_spent_budget_ends_the_loop_after_an_exam(loop):
    found = loop(max_labels=20)
    assert found.names == [*ROUND_0, 'ExploreWorkChain']
    assert found.outputs['report']['stop_reason'] == 'budget_exhausted'


def test_later_rounds_know_what_is_labelled(plain):
    found = plain
    known = [len(inputs['known']) if 'known' in inputs else 0 for inputs in inputs_of(found, 'SelectCalculation')]
    assert known == [0, 12, 17], 'what is tested must not steer what is learnt'


def test_later_rounds_select_by_the_newest_potential(plain):
    """Round 0 has none; then it is the one that explored."""
    used = [inputs.get('potential') for inputs in inputs_of(plain, 'SelectCalculation')]
    explored = [inputs['potential'].uuid for inputs in inputs_of(plain, 'ExploreWorkChain')]
    assert used[0] is None
    assert [node.uuid for node in used[1:]] == explored[:-1]
    trained = [len(inputs['train']) for inputs in inputs_of(plain, 'SelectCalculation')[1:]]
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
    assert [inputs['potential'].uuid for inputs in tests] == explored[:-1]
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
    seeds = [inputs['seed'].value for inputs in inputs_of(plain, 'SelectCalculation')]
    assert seeds == [7, 1007, 2007]


def test_without_candidates_the_round_is_idle_and_what_is_missing_is_told(loop, children):
    """Its errors are within their targets: more labels would show nothing."""
    children.n_candidates, children.force_rmse = 0, 0.04
    found = loop()
    assert found.names == [*ROUND_0, 'ExploreWorkChain']
    report = found.outputs['report'].get_dict()
    assert report['stop_reason'] == report['verdict']['reason'] == 'coverage_exhausted'
    assert report['verdict']['shortfalls'] == [
        '0 of 1 starts passed all temperatures up to 300 K',
        '10.0% of MD is above gamma_select, at most 1.0% is allowed',
    ]
    assert all(said in report['verdict']['sentence'] for said in report['verdict']['shortfalls'])
    idle = report['rounds'][1]
    assert (idle['labels_bought'], idle['labels_total'], idle['test_errors'], idle['funnel']) == (0, 20, None, None)
    assert 'potential' in found.outputs


def good(children):
    """Let the potential pass its exam and be within its targets."""
    children.is_passed, children.share_above_select, children.force_rmse = True, 0.0, 0.04


@pytest.mark.parametrize('n_candidates', [0, 6])
def test_a_potential_that_passes_everything_has_converged_and_nothing_more_is_bought(loop, children, n_candidates):
    good(children)
    children.n_candidates = n_candidates
    found = loop()
    assert found.names == [*ROUND_0, 'ExploreWorkChain']
    report = found.outputs['report'].get_dict()
    assert (report['stop_reason'], report['verdict']['shortfalls'], report['verdict']['round']) == ('converged', [], 0)
    assert report['labels_total'] == 20


def test_labels_that_were_mispredicted_before_training_are_told(loop, children):
    """Those of round 1 were off by 0.1 eV/Å, the target is twice that of the test set; after one more round it has converged."""
    good(children)
    children.is_passed = False
    report = loop(force_rmse_target=0.045, max_rounds=2).outputs['report'].get_dict()
    assert (
        'the force error on the newest labels before training was 100, above its target of 90 meV/Å'
        in (report['verdict']['shortfalls'])
    )


def test_the_result_is_the_best_potential_that_passed_not_the_last(loop, children):
    children.force_rmses, children.failed_fits = [0.3, 0.2, 0.1], (2,)
    found = loop()
    report = found.outputs['report'].get_dict()
    assert found.exit_code is None
    assert report['verdict']['round'] == 1
    assert found.outputs['potential'].uuid == report['rounds'][1]['potential']
    assert report['rounds'][2]['failed_checks'] == ['a wall falls']


def test_where_no_potential_passed_the_run_says_so(loop, children):
    children.fails_checks = True
    found = loop(max_rounds=1)
    assert found.label == 'ERROR_CHECKS_FAILED'
    assert found.exit_code.message == 'The run ended, but its potential did not pass its checks: a wall falls'
    assert 'it did not pass its self-checks' in found.outputs['report']['verdict']['shortfalls']
    assert 'potential' in found.outputs


@pytest.fixture
def gated(walk, children, config):
    return lambda **limits: walk(
        ActiveLearningWorkChain, children, config=config(loop={**LOOP, **limits}, properties={'lammps_code': None})
    )


def test_the_gate_is_asked_before_a_run_calls_itself_converged(gated, children):
    good(children)
    children.gates = [True]
    found = gated()
    assert found.names == [*ROUND_0, 'ExploreWorkChain', 'PropertiesWorkChain']
    report = found.outputs['report'].get_dict()
    assert (report['stop_reason'], report['verdict']['properties']['passed']) == ('converged', True)
    assert report['verdict']['sentence'].endswith('; its physical properties passed.')


@pytest.mark.parametrize(
    ('gates', 'said'),
    [
        (['broken', False], 'its physical properties did not pass'),
        ([False, 'broken'], 'its physical properties could not be judged (verdi process report says why)'),
    ],
)
def test_a_gate_that_is_not_passed_or_breaks_lets_the_loop_go_on(gated, children, gates, said):
    """The result is the potential of round 0, with the properties of its own."""
    good(children)
    children.force_rmses, children.gates = [0.04, 0.045], list(gates)
    found = gated(max_rounds=2)
    exam = ['ExploreWorkChain', 'PropertiesWorkChain']
    assert found.names == [*ROUND_0, *exam, *ROUND_N[1:], *exam]
    verdict = found.outputs['report']['verdict']
    assert (verdict['reason'], verdict['round']) == ('budget_exhausted', 0)
    assert said in verdict['shortfalls']
    told = [] if gates[0] == 'broken' else [found.outputs['potential'].uuid]
    assert [verdict['properties']['of'] for _ in told] == told
    assert ('properties' in verdict) is bool(told)


def test_the_result_of_a_run_that_did_not_converge_is_judged_at_its_end(gated, children):
    children.gates = [False]
    found = gated(max_rounds=1)
    assert found.names[-2:] == ['ExploreWorkChain', 'PropertiesWorkChain']
    assert found.names.count('PropertiesWorkChain') == 1
    report = found.outputs['report'].get_dict()
    assert (report['stop_reason'], report['verdict']['properties']['passed']) == ('budget_exhausted', False)


def test_every_end_has_one_sentence(plain):
    verdict = plain.outputs['report']['verdict']
    assert verdict['sentence'].startswith('The budget loop.max_labels is spent (28 of 28 labels): raise it to go on.')
    assert verdict['targets']['force'] == 0.05


def test_candidates_of_which_none_is_new_end_the_loop(loop, children):
    original = children._select

    def nothing_later(inputs, kind):
        children.nothing_selected = 'known' in inputs
        return original(inputs, kind)

    children._select = nothing_later
    children.force_rmse = 0.04
    found = loop()
    assert found.names == [*ROUND_0, 'ExploreWorkChain', 'SelectCalculation']
    report = found.outputs['report'].get_dict()
    assert report['stop_reason'] == 'coverage_exhausted'
    assert report['rounds'][1]['funnel']['selected'] == 0
    assert report['rounds'][1]['labels_bought'] == 0


def test_no_progress_is_stalled(loop):
    assert loop(patience=1).outputs['report']['stop_reason'] == 'stalled'


@pytest.mark.parametrize(
    ('stage', 'succeeds', 'label', 'n_labels'),
    [
        ('ExploreWorkChain', 0, 'ERROR_EXPLORE_FAILED', 20),
        ('SelectCalculation', 1, 'ERROR_SELECT_FAILED', 20),
        ('LabelAseCalculation', 1, 'ERROR_LABEL_FAILED', 20),
        ('TrainWorkChain', 1, 'ERROR_TRAIN_FAILED', 25),
    ],
)
def test_a_failure_in_round_1_keeps_the_results_of_round_0(loop, children, stage, succeeds, label, n_labels):
    children.fail[stage] = succeeds
    found = loop()
    assert found.label == label
    assert found.exit_code.message.startswith('Round 1: ')
    assert found.exit_code.message.endswith(f'{stage} broke')
    assert {'potential', 'frames', 'train_frames', 'test_frames', 'references', 'report'} <= set(found.outputs)
    report = found.outputs['report'].get_dict()
    assert [entry['round'] for entry in report['rounds']] == [0]
    assert report['stop_reason'] == 'failed'
    assert len(found.outputs['frames']) == n_labels, 'labels of a round whose fit failed are not lost'


def test_an_old_potential_that_cannot_be_tested_does_not_stop_the_loop(loop, children):
    children.fail['EvaluateCalculation'] = 0
    found = loop(max_rounds=2)
    assert found.exit_code is None
    assert [entry['acquisition'] for entry in found.outputs['report']['rounds']] == [None] * 3


@pytest.fixture
def pace(children, potential_folder, localhost):
    """Children of which the training gives potentials of Pacemaker, and a code for it and for LAMMPS."""
    ensure_code('program-of-loop', localhost, Path('/bin/true'), None)
    children._potential = lambda: potential_folder(grade_lines=('pair_style pace/extrapolation',))
    return children


def test_where_nothing_is_new_and_an_error_is_above_its_target_known_frames_are_labelled(walk, pace, config):
    """By an explorer that gives frames whatever their grade, which that of the configuration cannot."""
    pace.n_candidates = 0
    train = {'trainer': 'mlip_autopipe.pacemaker', 'code': 'program-of-loop@localhost'}
    explore = {'explorer': 'mlip_autopipe.lammps_pace', 'code': 'program-of-loop@localhost', 'starts': 2}
    found = walk(ActiveLearningWorkChain, pace, config=config(train=train, explore=explore, loop={**LOOP, 'max_rounds': 2}))
    assert found.names == [*ROUND_0, 'ExploreWorkChain', *ROUND_N, 'ExploreWorkChain']
    explored = inputs_of(found, 'ExploreWorkChain')
    settings = [inputs['settings'].get_dict() for inputs in explored]
    assert [one.get('samples', 0) for one in settings] == [0, 3, 0], '5 labels of 2 trajectories'
    assert [one['explorer'].split('.')[1] for one in settings] == ['lammps_pace', 'lammps_md', 'lammps_pace']
    assert [inputs['code'].uuid == explored[0]['code'].uuid for inputs in explored] == [True, False, True]
    selected = [inputs['settings']['selector'] for inputs in inputs_of(found, 'SelectCalculation')]
    assert selected[1] == 'mlip_autopipe.random' != selected[0]
    report = found.outputs['report'].get_dict()
    assert [entry['labels_bought'] for entry in report['rounds']] == [20, 0, 3, 0]
    assert report['rounds'][2]['acquisition']['force_rmse'] == 0.1, 'of frames that it took for known'
    assert report['stop_reason'] == 'budget_exhausted'


@pytest.mark.parametrize(
    ('pacemaker', 'goes_on'), [({}, True), ({'initial_potential': 'none'}, False)], ids=['from a linear fit', 'from scratch']
)
def test_later_rounds_start_from_the_potential_of_the_round_before(walk, pace, config, pacemaker, goes_on):
    train = {'trainer': 'mlip_autopipe.pacemaker', 'code': 'program-of-loop@localhost', **pacemaker}
    explore = {'explorer': 'mlip_autopipe.lammps_pace', 'code': 'program-of-loop@localhost'}
    found = walk(ActiveLearningWorkChain, pace, config=config(train=train, explore=explore, loop=LOOP))
    first, second, third = inputs_of(found, 'TrainWorkChain')
    tested = [inputs['potential'].uuid for inputs in inputs_of(found, 'EvaluateCalculation')]
    starts = [inputs['initial_potential'].uuid for inputs in (second, third) if 'initial_potential' in inputs]
    assert 'initial_potential' not in first
    assert starts == (tested if goes_on else []), 'the old potential is tested on the new labels, and gone on with'


def test_a_trainer_that_cannot_go_on_gets_no_start(plain):
    assert not any('initial_potential' in inputs for inputs in inputs_of(plain, 'TrainWorkChain'))
