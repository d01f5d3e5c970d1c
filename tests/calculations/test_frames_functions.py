import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.frames_functions import (
    NO_SPLIT,
    gather_frames,
    merge_frames,
    pick_starts,
    split_frames,
)
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.data.frames import FramesData


def test_a_round_labels_isolated_atoms_then_the_selection_in_its_order_then_the_test_set(emt_frames):
    pool, test = emt_frames(5, labelled=False), emt_frames(2, seed=1, labelled=False)
    selection = orm.ArrayData({'indices': np.array([4, 0, 2])})
    nodes = {'pool': FramesData(pool), 'selection': selection, 'test': FramesData(test)}
    found = gather_frames(**nodes, elements=orm.List(['Cu', 'Au']), box=orm.Float(11.0))
    frames = found.frames
    assert frames.config_type.tolist()[:2] == [ISOLATED_ATOM] * 2
    assert [frames.symbols(i) for i in (0, 1)] == [['Cu'], ['Au']]
    np.testing.assert_allclose(frames.cells[0], 11.0 * np.eye(3))
    assert frames.uid.tolist()[2:] == [*pool.uid[[4, 0, 2]].tolist(), *test.uid.tolist()]
    assert found.creator.process_label == 'gather_frames'


@pytest.mark.parametrize('parts', [('pool', 'selection'), ('test',)])
def test_a_later_round_labels_what_there_is(emt_frames, parts):
    nodes = {
        'pool': FramesData(emt_frames(3)),
        'selection': orm.ArrayData({'indices': np.array([1])}),
        'test': FramesData(emt_frames(1)),
    }
    assert len(gather_frames(**{name: nodes[name] for name in parts}).frames) == 1


def test_merge_goes_by_the_names(emt_frames):
    first, second = emt_frames(2), emt_frames(3, seed=1, labelled=False)
    merged = merge_frames(b_new=FramesData(second), a_old=FramesData(first))
    assert merged.frames.uid.tolist() == [*first.uid.tolist(), *second.uid.tolist()]
    assert merged.base.attributes.get('n_labelled') == 2


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
