import json

import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData


@pytest.fixture
def inputs(emt_frames):
    return {
        'frames': FramesData(emt_frames(4, labelled=False)),
        'settings': orm.Dict({'labeller': 'mlip_autopipe.label_ase', 'max_failure_rate': 0.25}),
    }


def files(n_failed):
    failures = [{'index': index, 'uid': '', 'reason': 'force_cap', 'detail': f'{60 + index} eV/Å'} for index in range(n_failed)]
    report = {'n_frames': 4, 'n_labelled': 4 - n_failed, 'n_failed': n_failed, 'failures': failures}
    return {'report.json': json.dumps(report)}


def test_every_label_gets_the_uuid_of_its_calculation(parse, tmp_path, emt_frames, inputs):
    emt_frames(4).save(tmp_path / 'temporary' / 'labelled.npz')
    parsed = parse('label_ase', files(0), **inputs)
    (uuid,) = set(parsed.outputs['labelled'].frames.label_uuid.tolist())
    assert isinstance(orm.load_node(uuid), orm.CalcJobNode)


def test_quarantined_frames_have_no_label_and_no_uuid(parse, tmp_path, emt_frames, inputs):
    emt_frames(1, labelled=False).save(tmp_path / 'temporary' / 'quarantined.npz')
    quarantined = parse('label_ase', files(1), **inputs).outputs['quarantined'].frames
    assert quarantined.label_uuid.tolist() == ['']


def test_failures_up_to_the_limit_pass(parse, inputs):
    assert parse('label_ase', files(1), **inputs).node.is_finished_ok


def test_failures_above_the_limit_stop_with_everything_attached(parse, tmp_path, emt_frames, inputs):
    emt_frames(2).save(tmp_path / 'temporary' / 'labelled.npz')
    emt_frames(2, labelled=False, seed=1).save(tmp_path / 'temporary' / 'quarantined.npz')
    parsed = parse('label_ase', files(2), **inputs)
    assert parsed.node.exit_status == 420
    assert parsed.error == '2 of 4 frames failed, more than the allowed rate of 0.25: 2 force_cap (60 eV/Å)'
    assert set(parsed.outputs) == {'labelled', 'quarantined', 'report'}
