import json

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData


@pytest.fixture
def inputs(emt_frames):
    frames = FramesData(emt_frames(2, labelled=False))
    return {'frames': frames, 'settings': orm.Dict({}), 'seed': orm.Int(1), 'budget': orm.Int(1)}


def files(selected):
    report = {'counts': {'generated': 2, 'selected': selected}, 'reasons': {'duplicate': 2 - selected}}
    return {'report.json': json.dumps(report)}


def test_the_selection_is_attached(parse, tmp_path, inputs):
    np.savez(tmp_path / 'temporary' / 'selection.npz', indices=np.array([1]), reasons=np.array(['duplicate', '']))
    parsed = parse('select', files(1), **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert parsed.outputs['selection'].get_array('indices').tolist() == [1]
    assert parsed.outputs['selection'].get_array('reasons').tolist() == ['duplicate', '']


def test_an_empty_selection_is_attached_with_the_error(parse, tmp_path, inputs):
    np.savez(tmp_path / 'temporary' / 'selection.npz', indices=np.zeros(0, int), reasons=np.array(['duplicate'] * 2))
    parsed = parse('select', files(0), **inputs)
    assert parsed.node.exit_status == 420
    assert parsed.error == "None of 2 candidates was selected: {'duplicate': 2}"
    assert parsed.outputs['selection'].get_array('reasons').tolist() == ['duplicate'] * 2


def test_a_selection_with_objects_inside_is_unreadable(parse, tmp_path, inputs):
    np.savez(tmp_path / 'temporary' / 'selection.npz', indices=np.array([None]))
    assert parse('select', files(1), **inputs).node.exit_status == 320


def test_a_missing_selection_is_an_error(parse, inputs):
    parsed = parse('select', files(1), **inputs)
    assert parsed.node.exit_status == 320
    assert parsed.error == 'An output cannot be read: the selection is missing'
