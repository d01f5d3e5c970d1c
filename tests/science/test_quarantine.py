"""The report of a labelling: every frame is either labelled or told with its reason."""

from __future__ import annotations

import json

from aiida_mlip_autopipe.science.quarantine import Failure, label_report

LEVELS = {'00ff': {'code': 'ASE', 'calculator': 'emt'}}


def test_known_answer() -> None:
    failures = [Failure(4, 'e', 'force_cap'), Failure(1, 'b', 'scf_not_converged'), Failure(2, 'c', 'force_cap')]
    assert label_report(10, failures, LEVELS) == {
        'n_frames': 10,
        'n_labelled': 7,
        'n_failed': 3,
        'n_recovered': 0,
        'n_reused': 0,
        'remedies': {},
        'by_reason': {'force_cap': 2, 'scf_not_converged': 1},
        'failures': [
            {'index': 1, 'uid': 'b', 'reason': 'scf_not_converged'},
            {'index': 2, 'uid': 'c', 'reason': 'force_cap'},
            {'index': 4, 'uid': 'e', 'reason': 'force_cap'},
        ],
        'levels_of_theory': LEVELS,
    }


def test_no_failure() -> None:
    report = label_report(3, [], LEVELS)
    assert (report['n_labelled'], report['n_failed'], report['by_reason'], report['failures']) == (3, 0, {}, [])


def test_nothing_but_failures() -> None:
    report = label_report(1, [Failure(0, 'a', 'not_finite')], {})
    assert (report['n_labelled'], report['levels_of_theory']) == (0, {})


def test_order_of_the_failures_does_not_matter() -> None:
    failures = [Failure(i, str(i), 'not_finite') for i in range(5)]
    assert label_report(9, failures, LEVELS) == label_report(9, failures[::-1], LEVELS)


def test_json_and_copies() -> None:
    levels = {'00ff': {'code': 'ASE'}}
    report = label_report(2, [Failure(0, 'a', 'x')], levels)
    assert json.loads(json.dumps(report)) == report
    levels['00ff']['code'] = 'changed'
    assert report['levels_of_theory'] == {'00ff': {'code': 'ASE'}}
