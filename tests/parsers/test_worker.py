"""What all parsers share, tried on the parser of `label_ase`, which has every kind of output."""

import json

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.parsers.worker import STDERR_TAIL

REPORT = {'n_frames': 3, 'n_labelled': 3, 'n_failed': 0, 'by_reason': {}}


@pytest.fixture
def temporary(tmp_path):
    return tmp_path / 'temporary'


@pytest.fixture
def inputs(emt_frames):
    return {'frames': FramesData(emt_frames(3, labelled=False)), 'settings': orm.Dict({'labeller': 'mlip_autopipe.label_ase'})}


def files(report=REPORT, **others):
    return {**({'report.json': json.dumps(report)} if report is not None else {}), **others}


def error(kind):
    return {'error.json': json.dumps({'kind': kind, 'message': 'settings.cutoff: got -1; must be above 0'})}


def test_report_and_frames_are_attached(parse, temporary, emt_frames, inputs):
    emt_frames(3).save(temporary / 'labelled.npz')
    parsed = parse('label_ase', files(), **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert parsed.outputs['report'].get_dict() == REPORT
    assert len(parsed.outputs['labelled']) == 3
    assert 'quarantined' not in parsed.outputs


@pytest.mark.parametrize(
    ('kind', 'status'),
    [('InputError', 210), ('InstallationError', 401), ('FitError', 410), ('EngineError', 410), ('FormatError', 410)],
)
def test_an_error_of_the_stage_is_quoted(parse, inputs, kind, status):
    parsed = parse('label_ase', files(None, **error(kind)), **inputs)
    assert parsed.node.exit_status == status
    assert parsed.error == 'settings.cutoff: got -1; must be above 0'


def test_what_was_written_before_an_error_is_attached(parse, temporary, emt_frames, inputs):
    emt_frames(2).save(temporary / 'labelled.npz')
    parsed = parse('label_ase', files(**error('EngineError')), **inputs)
    assert parsed.node.exit_status == 410
    assert len(parsed.outputs['labelled']) == 2
    assert parsed.outputs['report'].get_dict() == REPORT


def test_a_missing_report_quotes_the_standard_error(parse, temporary, emt_frames, inputs):
    emt_frames(2).save(temporary / 'labelled.npz')
    parsed = parse('label_ase', files(None, **{'mlip-worker.err': 'x' * 1000 + 'slurmstepd: out of memory\n'}), **inputs)
    assert parsed.node.exit_status == 310
    assert parsed.error.endswith('slurmstepd: out of memory')
    assert len(parsed.error) < STDERR_TAIL + 60
    assert len(parsed.outputs['labelled']) == 2


@pytest.mark.parametrize('others', [{}, {'mlip-worker.err': '  \n'}])
def test_a_missing_report_without_a_word_says_so(parse, inputs, others):
    parsed = parse('label_ase', files(None, **others), **inputs)
    assert parsed.node.exit_status == 310
    assert 'nothing on standard error; the job may have been killed or run out of time' in parsed.error


def test_arrays_that_are_no_arrays_are_unreadable(parse, temporary, inputs):
    (temporary / 'labelled.npz').write_bytes(b'PK no archive')
    parsed = parse('label_ase', files(), **inputs)
    assert parsed.node.exit_status == 320
    assert parsed.outputs['report'].get_dict() == REPORT


def test_arrays_that_were_cut_off_are_unreadable(parse, temporary, emt_frames, inputs):
    path = temporary / 'labelled.npz'
    emt_frames(3).save(path)
    path.write_bytes(path.read_bytes()[:500])
    assert parse('label_ase', files(), **inputs).node.exit_status == 320


def test_empty_arrays_are_unreadable(parse, temporary, inputs):
    (temporary / 'labelled.npz').write_bytes(b'')
    assert parse('label_ase', files(), **inputs).node.exit_status == 320


def test_numbers_that_are_not_finite_never_become_a_node(parse, temporary, emt_frames, inputs):
    arrays = emt_frames(3).to_arrays()
    arrays['forces'] = np.full_like(arrays['forces'], np.nan)
    np.savez(temporary / 'labelled.npz', **arrays)
    parsed = parse('label_ase', files(), **inputs)
    assert parsed.node.exit_status == 320
    assert 'column forces of frame 0 holds a number that is not finite' in parsed.error
    assert 'labelled' not in parsed.outputs


def test_a_missing_column_is_told(parse, temporary, emt_frames, inputs):
    arrays = emt_frames(3).to_arrays()
    del arrays['uid']
    np.savez(temporary / 'labelled.npz', **arrays)
    parsed = parse('label_ase', files(), **inputs)
    assert parsed.node.exit_status == 320
    assert "columns missing: ['uid']" in parsed.error


@pytest.mark.parametrize('name', ['report.json', 'error.json'])
def test_json_that_is_none_is_unreadable(parse, inputs, name):
    assert parse('label_ase', {**files(), name: '{"n_fra'}, **inputs).node.exit_status == 320


def test_frames_without_frames_are_not_attached(parse, temporary, emt_frames, inputs):
    emt_frames(3).take([]).save(temporary / 'quarantined.npz')
    parsed = parse('label_ase', files(), **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert set(parsed.outputs) == {'report'}
