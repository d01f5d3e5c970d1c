"""Calcfunctions of the test set: what is made, what is told apart, and what a failure says."""

import json

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.testset_functions import (
    NO_TEST_SET,
    choose_md_frames,
    make_test_set,
    part_labels,
    pick_md_starts,
)
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.data.frames import FramesData

LIMITS = {'min_bond_fraction': 0.6, 'max_skew': 60.0, 'volume': None, 'tolerance': 0.002}


@pytest.fixture
def pools(emt_frames):
    return tuple(FramesData(emt_frames(10, labelled=False, seed=seed)) for seed in (0, 1))


def made(pools, *, count=5, limits=LIMITS, seed=0):
    return make_test_set.run_get_node(*pools, orm.Dict(limits), orm.Int(count), orm.Int(seed))


def test_as_many_as_asked_for_and_bases(pools):
    parts, node = made(pools)
    assert node.is_finished_ok
    assert len(parts['frames']) == 5
    assert len(parts['bases']) == 5
    assert not set(parts['frames'].frames.lineage.tolist()) & set(pools[0].frames.lineage.tolist())


def test_it_follows_its_seed(pools):
    uids = [made(pools, seed=seed)[0]['frames'].frames.uid.tolist() for seed in (0, 0, 1)]
    assert uids[0] == uids[1] != uids[2]


def test_too_few_are_refused(pools):
    parts, node = made(pools, count=2)
    assert not parts
    assert node.exit_status == NO_TEST_SET
    assert node.exit_message == (
        'loop.test_labels: got 2; 2 test frames cannot hold each of 1 config_types and 5 compositions; 5 can'
    )


def test_a_pool_of_which_nothing_is_sane(pools):
    node = made(pools, limits={**LIMITS, 'volume': [1.0, 2.0]})[1]
    assert (node.exit_status, node.exit_message) == (NO_TEST_SET, 'none of the structures made for it is sane')


class TestParts:
    @pytest.fixture
    def labelled(self, emt_frames, references):
        return Frames.concatenate([references, emt_frames(6)])

    def test_each_frame_goes_where_it_was_bought_for(self, labelled):
        test = labelled.take([5, 7])
        parts = {name: node.frames for name, node in part_labels(FramesData(labelled), FramesData(test)).items()}
        assert parts['references'].config_type.tolist() == [ISOLATED_ATOM] * 2
        assert parts['test'].uid.tolist() == test.uid.tolist()
        assert parts['train'].uid.tolist() == labelled.uid[[2, 3, 4, 6]].tolist()

    def test_an_empty_part_is_left_out(self, labelled):
        test = FramesData(labelled.take([2, 3]))
        assert set(part_labels(test, test)) == {'test'}

    def test_a_test_set_that_could_not_be_labelled(self, labelled, emt_frames):
        parts, node = part_labels.run_get_node(FramesData(labelled), FramesData(emt_frames(3, seed=9)))
        assert not parts
        assert (node.exit_status, node.exit_message) == (
            NO_TEST_SET,
            'none of the 3 frames of the test set could be labelled',
        )


def test_starts_of_md_are_as_the_settings_say(emt_frames):
    bases = FramesData(emt_frames(4, per_lineage=1, labelled=False))
    settings = orm.Dict({'starts': 2, 'supercell': [2, 1, 1], 'max_atoms': 200})
    starts = pick_md_starts(bases, settings, orm.Int(0)).frames
    assert starts.counts.tolist() == [16] * 4, 'one of each composition'
    assert set(starts.lineage.tolist()) <= set(bases.frames.lineage.tolist())


class TestMdFrames:
    REPORT = {'trajectories': [{'temperature': 900.0, 'reason': 'bond'}, {'temperature': 900.0, 'reason': 'finished'}]}

    def samples(self, emt_frames, temperature, count):
        origin = json.dumps({'temperature': temperature})
        return FramesData(emt_frames(count, labelled=False, seed=int(temperature), origin=origin, config_type='md'))

    def choose(self, shares, **parts):
        return choose_md_frames(orm.List([[t, n] for t, n in shares.items()]), orm.Dict(LIMITS), orm.Int(0), **parts)

    def test_each_temperature_has_its_share_and_its_entry(self, emt_frames):
        parts = {'samples_0': self.samples(emt_frames, 300.0, 4), 'samples_1': self.samples(emt_frames, 900.0, 4)}
        found = self.choose({300.0: 3, 900.0: 1}, report_1=orm.Dict(self.REPORT), **parts)
        assert len(found['frames']) == 4
        assert found['report']['temperatures'] == [
            {'temperature': 300.0, 'wanted': 3, 'n_frames': 3, 'n_trajectories': 0, 'reasons': {}},
            {'temperature': 900.0, 'wanted': 1, 'n_frames': 1, 'n_trajectories': 2, 'reasons': {'bond': 1, 'finished': 1}},
        ]
        assert sum(found['report']['compositions'].values()) == 4

    def test_without_a_sample_there_is_a_report_alone(self):
        found = self.choose({900.0: 2}, report_0=orm.Dict(self.REPORT))
        assert set(found) == {'report'}
        assert found['report']['temperatures'][0]['n_frames'] == 0

    def test_samples_are_chosen_by_name_not_by_order(self, emt_frames):
        parts = [(f'samples_{index}', self.samples(emt_frames, 300.0 + index, 2)) for index in range(3)]
        shares = {300.0 + index: 1 for index in range(3)}
        one, other = (self.choose(shares, **dict(given))['frames'].frames.uid for given in (parts, parts[::-1]))
        np.testing.assert_array_equal(one, other)
