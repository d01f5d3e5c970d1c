import json
import shutil

import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD

GOOD = {'energy_rmse': 0.01, 'force_rmse': 0.05}


@pytest.fixture
def inputs(emt_frames, references):
    return {
        'frames': FramesData(emt_frames(2)),
        'references': FramesData(references),
        'elements': orm.List(['Cu', 'Au']),
        'seed': orm.Int(0),
        'settings': orm.Dict({}),
    }


@pytest.fixture
def left_behind(potential_folder, tmp_path):
    """Put the folder of a potential where the job left it."""
    return lambda: shutil.copytree(potential_folder(), tmp_path / 'temporary' / 'potential')


def files(errors=GOOD):
    return {'report.json': json.dumps({'training_errors': errors})}


@pytest.mark.parametrize('trainer', ['pod', 'ace'])
def test_the_potential_is_attached_and_knows_its_frames(parse, left_behind, inputs, trainer):
    left_behind()
    parsed = parse(trainer, files(), **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert parsed.outputs['potential'].record.training_uuid == inputs['frames'].uuid


def test_a_missing_potential_is_an_error(parse, inputs):
    parsed = parse('pod', files(), **inputs)
    assert parsed.node.exit_status == 330
    assert parsed.outputs['report']['training_errors'] == GOOD


@pytest.mark.parametrize('number', ['NaN', 'Infinity', '-Infinity'])
def test_errors_that_are_not_finite_are_unreadable(parse, left_behind, inputs, number):
    left_behind()
    parsed = parse('pod', {'report.json': files()['report.json'].replace('0.05', number)}, **inputs)
    assert parsed.node.exit_status == 320
    assert parsed.error == f'An output cannot be read: a number is not finite: {number}'


def test_a_record_that_cannot_be_read_is_an_error(parse, left_behind, inputs):
    (left_behind() / POTENTIAL_RECORD).write_text('{}', encoding='utf-8')
    parsed = parse('pod', files(), **inputs)
    assert parsed.node.exit_status == 320
    assert 'record of a potential cannot be read' in parsed.error


def test_a_missing_record_is_an_error(parse, left_behind, inputs):
    (left_behind() / POTENTIAL_RECORD).unlink()
    assert parse('pod', files(), **inputs).node.exit_status == 320
