import io

import numpy as np
import pytest
from aiida import orm
from aiida.common.exceptions import ModificationNotAllowed, ValidationError
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FRAMES, FramesData

MANY = 100_000


def assert_same(found, expected):
    for name, column in expected.to_arrays().items():
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert column.size


def test_labelled_frames_come_back_as_they_were(emt_frames):
    frames = emt_frames(6)
    node = FramesData(frames).store()
    assert_same(orm.load_node(node.pk).frames, frames)


def test_unlabelled_frames_come_back_without_labels(emt_frames):
    frames = emt_frames(3, labelled=False)
    found = orm.load_node(FramesData(frames).store().pk).frames
    assert_same(found, frames)
    assert not found.labelled.any()
    assert found.atoms(0).calc is None


def test_texts_that_are_not_ascii_survive(emt_frames):
    frames = emt_frames(2, origin='{"Å": "größer"}')
    assert FramesData(frames).store().frames.origin.tolist() == ['{"Å": "größer"}'] * 2


def test_from_atoms_takes_ase_structures():
    node = FramesData.from_atoms([bulk('Cu'), bulk('Au')]).store()
    assert len(node) == 2
    assert [atoms.get_chemical_formula() for atoms in node.frames] == ['Cu', 'Au']


def test_attributes_say_what_is_inside(emt_frames):
    mixed = Frames.concatenate([emt_frames(3), emt_frames(2, labelled=False, config_type='md', round=2, seed=1)])
    attributes = FramesData(mixed).store().base.attributes
    assert attributes.get('n_frames') == 5
    assert attributes.get('n_labelled') == 3
    assert attributes.get('elements') == ['Cu', 'Au']
    assert attributes.get('config_types') == ['md', 'rattle']
    assert attributes.get('fingerprints') == ['emt']
    assert attributes.get('rounds') == [0, 2]


def test_the_attributes_can_be_queried(emt_frames):
    node = FramesData(emt_frames(7, config_type='queried', seed=3)).store()
    FramesData(emt_frames(2, config_type='other', seed=4)).store()

    def found(filters):
        return [pk for (pk,) in orm.QueryBuilder().append(FramesData, filters=filters, project='id').all()]

    assert found({'attributes.config_types': {'contains': ['queried']}}) == [node.pk]
    both = {'attributes.n_frames': {'>': 6}, 'attributes.elements': {'contains': ['Cu', 'Au']}}
    assert node.pk in found(both)
    assert found({**both, 'attributes.config_types': {'contains': ['other']}}) == []
    assert node.pk not in found({'attributes.elements': {'contains': ['Mg']}})


def node_of(columns):
    """Return an unstored node whose file holds `columns`, whatever they are."""
    buffer = io.BytesIO()
    np.savez(buffer, **columns)
    return node_with(buffer.getvalue())


def node_with(content):
    node = FramesData()
    node.base.repository.put_object_from_bytes(content, FRAMES)
    return node


def test_an_empty_node_is_not_stored():
    with pytest.raises(ValidationError, match=r'not valid frames: frames\.npz cannot be read'):
        FramesData().store()


@pytest.mark.parametrize('content', [b'', b'no zip', b'PK\x03\x04 cut'])
def test_a_file_that_is_no_npz_is_not_stored(content):
    with pytest.raises(ValidationError, match=r'not valid frames: frames\.npz cannot be read'):
        node_with(content).store()


def test_a_file_that_was_cut_is_not_stored(emt_frames):
    buffer = io.BytesIO()
    emt_frames(3).write(buffer)
    for length in range(4, len(buffer.getvalue()), 777):
        with pytest.raises(ValidationError, match=r'not valid frames: frames\.npz cannot be read'):
            node_with(buffer.getvalue()[:length]).store()


@pytest.mark.parametrize('column', ['positions', 'cells', 'energy', 'forces', 'stress'])
def test_a_number_that_is_not_finite_is_not_stored(emt_frames, column):
    columns = emt_frames(3).to_arrays()
    values = columns[column].copy()
    values[1] = np.nan
    node = node_of({**columns, column: values})
    with pytest.raises(ValidationError, match=f'column {column} of frame'):
        node.store()
    assert not node.is_stored


def test_columns_that_contradict_each_other_are_not_stored(emt_frames):
    node = node_of({**emt_frames(3).to_arrays(), 'energy': np.zeros(2)})
    with pytest.raises(ValidationError, match=r'column energy has shape \(2,\), expected \(3,\)'):
        node.store()


def test_an_unknown_column_is_not_stored(emt_frames):
    node = node_of({**emt_frames(2).to_arrays(), 'charges': np.zeros(2)})
    with pytest.raises(ValidationError, match=r"unknown: \['charges'\]"):
        node.store()


def test_attributes_that_contradict_the_columns_are_not_stored(emt_frames):
    node = FramesData(emt_frames(3))
    node.base.attributes.set('n_frames', 4)
    with pytest.raises(ValidationError, match='attribute n_frames is 4, the columns hold 3 frames'):
        node.store()


def test_a_stored_node_does_not_change(emt_frames):
    node = FramesData(emt_frames(2)).store()
    with pytest.raises(ModificationNotAllowed):
        node.set_frames(emt_frames(3))


def test_equal_frames_have_equal_hashes(emt_frames):
    first, second = FramesData(emt_frames(3)).store(), FramesData(emt_frames(3)).store()
    assert first.base.repository.list_object_names() == [FRAMES], 'AiiDA spends its time on each file anew'
    assert first.base.caching.get_hash() == second.base.caching.get_hash()
    assert first.base.caching.get_hash() != FramesData(emt_frames(3, seed=9)).store().base.caching.get_hash()


def test_a_hundred_thousand_frames_are_one_node(emt_frames):
    small = emt_frames(10)
    many = small.take(np.arange(MANY) % len(small))
    node = FramesData(many).store()
    found = orm.load_node(node.pk)
    assert len(found) == MANY
    assert_same(found.frames.take([0, MANY - 1]), many.take([0, MANY - 1]))
