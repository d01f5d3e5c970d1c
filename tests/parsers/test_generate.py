import json

import pytest
from aiida import orm

FILES = {'report.json': json.dumps({'n_frames': 2})}


@pytest.fixture
def inputs():
    return {'system': orm.Dict({}), 'settings': orm.Dict({}), 'seed': orm.Int(1)}


def test_the_structures_are_attached(parse, tmp_path, emt_frames, inputs):
    emt_frames(2, labelled=False).save(tmp_path / 'temporary' / 'frames.npz')
    parsed = parse('generate', FILES, **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert len(parsed.outputs['frames']) == 2


def test_no_structures_are_an_error(parse, inputs):
    parsed = parse('generate', FILES, **inputs)
    assert parsed.node.exit_status == 420
    assert parsed.error == 'The settings gave no structure at all.'
    assert parsed.outputs['report']['n_frames'] == 2


def test_a_file_without_structures_is_an_error(parse, tmp_path, emt_frames, inputs):
    emt_frames(2, labelled=False).take([]).save(tmp_path / 'temporary' / 'frames.npz')
    assert parse('generate', FILES, **inputs).node.exit_status == 420
