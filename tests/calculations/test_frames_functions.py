import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.frames_functions import (
    NO_SPLIT,
    add_isolated_atoms,
    merge_frames,
    pick_starts,
    split_frames,
    take_frames,
)
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.data.frames import FramesData


def test_take_keeps_the_order_of_the_selection(emt_frames):
    frames = emt_frames(5)
    taken = take_frames(FramesData(frames), orm.ArrayData({'indices': np.array([4, 0, 2])}))
    assert taken.frames.uid.tolist() == frames.uid[[4, 0, 2]].tolist()
    assert taken.creator.process_label == 'take_frames'


def test_merge_goes_by_the_names(emt_frames):
    first, second = emt_frames(2), emt_frames(3, seed=1, labelled=False)
    merged = merge_frames(b_new=FramesData(second), a_old=FramesData(first))
    assert merged.frames.uid.tolist() == [*first.uid.tolist(), *second.uid.tolist()]
    assert merged.base.attributes.get('n_labelled') == 2


def test_isolated_atoms_come_first(emt_frames):
    frames = emt_frames(2, labelled=False)
    found = add_isolated_atoms(FramesData(frames), orm.List(['Cu', 'Au']), orm.Float(11.0)).frames
    assert found.config_type.tolist()[:2] == [ISOLATED_ATOM] * 2
    assert [found.symbols(i) for i in (0, 1)] == [['Cu'], ['Au']]
    np.testing.assert_allclose(found.cells[0], 11.0 * np.eye(3))
    assert len(found) == 4


@pytest.fixture
def labelled(emt_frames, references):
    return FramesData(Frames.concatenate([references, emt_frames(12, per_lineage=3)])).store()


def test_the_split_is_by_lineage_and_complete(labelled):
    parts = split_frames(labelled, orm.Float(0.25), orm.Int(1))
    train, test, references = (parts[name].frames for name in ('train', 'test', 'references'))
    assert len(train) + len(test) == 12
    assert len(test) > 0
    assert not set(train.lineage.tolist()) & set(test.lineage.tolist())
    assert references.config_type.tolist() == [ISOLATED_ATOM] * 2
    assert ISOLATED_ATOM not in {*train.config_type.tolist(), *test.config_type.tolist()}


def test_the_split_follows_its_seed(labelled):
    def test_set(seed):
        return split_frames(labelled, orm.Float(0.25), orm.Int(seed))['test'].frames.uid.tolist()

    assert test_set(1) == test_set(1)


def test_a_split_that_cannot_be_made_is_an_exit_status(emt_frames, references):
    alone = FramesData(Frames.concatenate([references, emt_frames(3, per_lineage=3)]))
    parts, node = split_frames.run_get_node(alone, orm.Float(0.2), orm.Int(0))
    assert not parts
    assert node.exit_status == NO_SPLIT
    assert node.exit_message.startswith('no lineage can be set aside as test set: a test set needs at least two lineages')


def test_starts_are_of_different_lineages_and_have_no_labels(emt_frames):
    train = emt_frames(6, per_lineage=2)
    settings = orm.Dict({'starts': 3, 'supercell': [1, 1, 1]})
    starts = pick_starts(FramesData(train), settings, orm.Int(0)).frames
    assert len(set(starts.lineage.tolist())) == 3
    assert not starts.labelled.any()
    assert set(starts.uid.tolist()) <= set(train.uid.tolist())


def test_starts_are_repeated_where_asked(emt_frames):
    train = emt_frames(2)
    settings = orm.Dict({'starts': 1, 'supercell': [2, 1, 1]})
    starts = pick_starts(FramesData(train), settings, orm.Int(0)).frames
    assert starts.counts.tolist() == [16]
    assert starts.parent[0] in train.uid.tolist()
