"""The second part of the test set, walked through the outline of the loop: MD from test lineages at each temperature."""

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.lammps.explorer import LammpsMd
from aiida_mlip_autopipe.science.testset import temperatures_of
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain
from tests.workflows.conftest import Children

LOOP = {
    'max_rounds': 3,
    'max_labels': 60,
    'initial_labels': 12,
    'labels_per_round': 5,
    'patience': 9,
    'test_labels': 6,
    'test_md_labels': 5,
}
EXPLORE = {'temperatures': [300, 900], 'gamma_select': 2.0, 'gamma_halt': 10.0, 'quench': 'minimize', 'temperature_end': 1000}


@pytest.fixture
def loop(walk, children, config):
    return lambda **limits: walk(ActiveLearningWorkChain, children, config=config(loop={**LOOP, **limits}, explore=EXPLORE))


@pytest.fixture(scope='module')
def plain(walk, fake_process, emt_frames, potential_folder, full_config, worker_code):
    """The loop in which nothing goes wrong, walked once."""
    config = orm.Dict(full_config(loop=LOOP, explore=EXPLORE))
    return walk(ActiveLearningWorkChain, Children(fake_process, emt_frames, potential_folder), config=config)


def inputs_of(found, name):
    return [inputs for process, inputs in found.submitted if process.__name__ == name]


def md_frames(found):
    test = found.outputs['test_frames'].frames
    return test.take(np.flatnonzero(test.config_type == 'md'))


def test_every_temperature_is_in_it_from_round_1_on(plain):
    frames = md_frames(plain)
    assert sorted(temperatures_of(frames).tolist()) == [300.0] * 3 + [900.0] * 2
    assert set(frames.round.tolist()) == {1}
    fits = inputs_of(plain, 'TrainWorkChain')
    assert [len(fit['test_frames']) for fit in fits] == [6, 11, 11]
    assert fits[1]['test_frames'].uuid == fits[2]['test_frames'].uuid, 'frozen when made'
    assert len(inputs_of(plain, 'LammpsMdCalculation')) == 2, 'what is in is not made again'


def test_it_starts_from_test_lineages_only_and_is_never_trained_on(plain):
    train, test = (set(plain.outputs[name].frames.lineage.tolist()) for name in ('train_frames', 'test_frames'))
    assert not train & test
    for inputs in inputs_of(plain, 'LammpsMdCalculation'):
        assert not set(inputs['starts'].frames.lineage.tolist()) & train
    for inputs in inputs_of(plain, 'ExploreWorkChain'):
        assert not set(inputs['starts'].frames.lineage.tolist()) & test
    for fit in inputs_of(plain, 'TrainWorkChain'):
        sides = [set(fit[name].frames.lineage.tolist()) for name in ('train_frames', 'test_frames')]
        assert not sides[0] & sides[1]
        uids = [set(fit[name].frames.uid.tolist()) for name in ('train_frames', 'test_frames')]
        assert not uids[0] & uids[1]


def test_its_frames_do_not_depend_on_the_grade(plain):
    for inputs, count in zip(inputs_of(plain, 'LammpsMdCalculation'), (3, 2), strict=True):
        settings = LammpsMd.model_validate(inputs['settings'].get_dict())
        assert settings.samples == settings.max_candidates == count
        assert settings.gamma_select == 1e9
        assert (settings.quench, settings.temperature_end) == ('none', None)
        assert settings.explorer == 'mlip_autopipe.lammps_md'


def test_its_labels_are_bought_with_those_of_the_round(plain):
    labels = inputs_of(plain, 'LabelAseCalculation')
    assert [len(inputs['frames']) for inputs in labels] == [2 + 12 + 6, 5 + 5, 5]
    entries = plain.outputs['report']['rounds']
    assert [entry['labels_bought'] for entry in entries] == [20, 10, 5, 0]
    assert [entry['n_test'] for entry in entries] == [6, 11, 11, 11]
    assert [len(inputs['frames']) for inputs in inputs_of(plain, 'EvaluateCalculation')] == [5, 5], 'the candidates alone'


def test_what_it_costs_is_left_by_round_0(loop):
    """24 labels: 2 isolated atoms, 6 + 5 test frames, one for training in round 1, so that 10 are left for round 0."""
    found = loop(max_labels=24, initial_labels=24)
    assert [inputs['budget'].value for inputs in inputs_of(found, 'SelectCalculation')] == [10, 1]
    assert found.outputs['report']['labels_total'] == 24
    assert len(md_frames(found)) == 5


def test_a_temperature_at_which_nothing_runs_is_told_and_tried_again(loop, children):
    children.n_samples = {900.0: 0}
    original = children._md_test

    def runs_in_round_2(inputs, kind):
        if inputs['round'].value == 2:
            children.n_samples = {}
        return original(inputs, kind)

    children._md_test = runs_in_round_2
    found = loop()
    jobs = [(inputs['round'].value, inputs['temperature'].value) for inputs in inputs_of(found, 'LammpsMdCalculation')]
    assert jobs == [(1, 300.0), (1, 900.0), (2, 900.0)]
    first, second = (entry['test_md']['temperatures'] for entry in found.outputs['report']['rounds'][1:3])
    assert first[1] == {'temperature': 900.0, 'wanted': 2, 'n_frames': 0, 'n_trajectories': 1, 'reasons': {'bond': 1}}
    assert [(one['temperature'], one['n_frames']) for one in second] == [(900.0, 2)]
    frames = md_frames(found)
    assert (
        sorted(zip(frames.round.tolist(), temperatures_of(frames).tolist(), strict=True)) == [(1, 300.0)] * 3 + [(2, 900.0)] * 2
    )


def test_md_that_fails_does_not_end_the_run(loop, children):
    """It is tried again in each round; the exam after the last fit makes no part that nobody would buy."""
    children.fail['LammpsMdCalculation'] = 0
    found = loop()
    assert found.exit_code is None
    assert len(md_frames(found)) == 0
    rounds = found.outputs['report']['rounds']
    assert [entry['test_md']['temperatures'][0]['n_frames'] for entry in rounds[1:3]] == [0, 0]
    assert {inputs['round'].value for inputs in inputs_of(found, 'LammpsMdCalculation')} == {1, 2}
    assert rounds[3]['test_md'] is None


def test_a_round_without_candidates_is_tested_on_it_all_the_same(loop, children):
    children.n_candidates = 0
    found = loop(max_rounds=2)
    entry = found.outputs['report']['rounds'][1]
    assert (entry['labels_bought'], entry['n_test'], entry['funnel'], entry['acquisition']) == (5, 11, None, None)
    assert entry['test_errors'] is not None
    assert 'EvaluateCalculation' not in found.names
    assert len(found.outputs['train_frames']) == 12


def test_labels_that_fail_leave_training_alone_and_are_tried_again(loop, children):
    original = children._label

    def without_md(inputs, kind):
        frames = inputs['frames'].frames
        is_test = np.isin(frames.origin, [text for text in frames.origin.tolist() if 'temperature' in text])
        return original({'frames': FramesData(frames.take(np.flatnonzero(~is_test)))}, kind)

    children._label = without_md
    found = loop()
    assert found.exit_code is None
    assert len(md_frames(found)) == 0
    assert len(found.outputs['train_frames']) == 12 + 5 + 5
    jobs = [(inputs['round'].value, inputs['temperature'].value) for inputs in inputs_of(found, 'LammpsMdCalculation')]
    assert jobs == [(1, 300.0), (1, 900.0), (2, 300.0), (2, 900.0)]
    assert 'the test set has no frames of MD at 300, 900 K' in found.outputs['report']['verdict']['shortfalls']


def test_a_run_of_one_fit_has_no_such_part_and_lacks_none(loop):
    found = loop(max_rounds=1)
    assert 'LammpsMdCalculation' not in found.names
    assert not any('no frames of MD' in sentence for sentence in found.outputs['report']['verdict']['shortfalls'])
