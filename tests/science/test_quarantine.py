"""The report of a labelling: every frame is either labelled or told with its reason."""

from __future__ import annotations

import json

import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.science.quarantine import label_report, quarantined

LEVELS = {'00ff': {'code': 'ASE', 'calculator': 'emt'}}


@pytest.fixture(scope='module')
def frames() -> Frames:
    return Frames.from_atoms([bulk('Cu', a=3.5 + 0.1 * index) for index in range(10)])


def test_known_answer(frames: Frames) -> None:
    first, second = FrameFailure(Reason.FORCE_CAP, '99 eV/Å'), FrameFailure(Reason.FORCE_CAP, '63 eV/Å')
    failures = {4: first, 1: FrameFailure(Reason.SCF_NOT_CONVERGED), 2: second}
    assert label_report(frames, failures, LEVELS) == {
        'n_frames': 10,
        'n_labelled': 7,
        'n_failed': 3,
        'n_recovered': 0,
        'n_reused': 0,
        'remedies': {},
        'by_reason': {'scf_not_converged': 1, 'force_cap': 2},
        'failures': [
            {'index': 1, 'uid': frames.uid[1], 'reason': 'scf_not_converged', 'detail': ''},
            {'index': 2, 'uid': frames.uid[2], 'reason': 'force_cap', 'detail': '63 eV/Å'},
            {'index': 4, 'uid': frames.uid[4], 'reason': 'force_cap', 'detail': '99 eV/Å'},
        ],
        'levels_of_theory': LEVELS,
    }


def test_of_some_frames_only_those_count(frames: Frames) -> None:
    report = label_report(frames, {7: FrameFailure(Reason.JOB_LOST)}, LEVELS, 3)
    assert (report['n_frames'], report['n_labelled'], report['failures'][0]['uid']) == (3, 2, frames.uid[7])


def test_no_failure(frames: Frames) -> None:
    report = label_report(frames.take(range(3)), {}, LEVELS)
    assert (report['n_labelled'], report['n_failed'], report['by_reason'], report['failures']) == (3, 0, {}, [])


def test_nothing_but_failures(frames: Frames) -> None:
    report = label_report(frames.take([0]), {0: FrameFailure(Reason.NOT_FINITE)}, {})
    assert (report['n_labelled'], report['levels_of_theory']) == (0, {})


def test_order_of_the_failures_does_not_matter(frames: Frames) -> None:
    failures = {index: FrameFailure(reason) for index, reason in enumerate(Reason) if index < len(frames)}
    backwards = label_report(frames, dict(reversed(failures.items())), LEVELS)
    assert json.dumps(label_report(frames, failures, LEVELS)) == json.dumps(backwards)


def test_json_and_copies(frames: Frames) -> None:
    levels = {'00ff': {'code': 'ASE'}}
    report = label_report(frames, {0: FrameFailure(Reason.OTHER, 'x')}, levels)
    assert json.loads(json.dumps(report)) == report
    levels['00ff']['code'] = 'changed'
    assert report['levels_of_theory'] == {'00ff': {'code': 'ASE'}}


def test_frames_in_quarantine_carry_their_reasons(frames: Frames) -> None:
    found = quarantined(frames, {4: FrameFailure(Reason.FORCE_CAP, '99 eV/Å'), 1: FrameFailure(Reason.JOB_LOST)})
    assert found.uid.tolist() == frames.uid[[1, 4]].tolist()
    assert found.reason.tolist() == ['job_lost', 'force_cap']
    assert not frames.reason.any()
