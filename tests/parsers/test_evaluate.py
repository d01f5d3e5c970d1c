import json

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData

FILES = {'report.json': json.dumps({'errors': None})}


@pytest.fixture
def inputs(emt_frames, fake_potential):
    return {'potential': fake_potential, 'frames': FramesData(emt_frames(2)), 'settings': orm.Dict({})}


def test_the_predictions_are_attached(parse, tmp_path, inputs):
    np.savez(tmp_path / 'temporary' / 'predictions.npz', energy=np.zeros(2), gamma=np.ones(16))
    parsed = parse('evaluate', FILES, **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert sorted(parsed.outputs['predictions'].get_arraynames()) == ['energy', 'gamma']


def test_predictions_that_cannot_be_read_are_an_error(parse, tmp_path, inputs):
    (tmp_path / 'temporary' / 'predictions.npz').write_bytes(b'nothing')
    assert parse('evaluate', FILES, **inputs).node.exit_status == 320


def test_missing_predictions_are_an_error(parse, inputs):
    """`TrainWorkChain` reads the predictions of every evaluation that says it went well."""
    assert parse('evaluate', FILES, **inputs).node.exit_status == 320
