"""What trajectories say together: rungs reached, reasons, share of time beyond the training set."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_mlip_autopipe.science.md.verdict import verdict


def run(start: str, temperature: float, reason: str = 'finished', **values: Any) -> dict[str, Any]:
    return {
        'start': start,
        'lineage': start,
        'temperature': temperature,
        'reason': reason,
        'passed': reason == 'finished',
        'gamma_max': 1.5,
        'n_checks': 10,
        'share_above_select': 0.0,
        **values,
    }


def ladder(runs: list[dict[str, Any]]) -> dict[str, float | None]:
    return {rung['start']: rung['reached'] for rung in verdict(runs)['ladder']}


def test_a_start_reaches_the_rung_up_to_which_all_its_trajectories_passed() -> None:
    runs = [
        *(run('a', temperature) for temperature in (300.0, 900.0, 1500.0)),
        run('b', 300.0), run('b', 900.0, 'temperature'), run('b', 1500.0),
        run('c', 300.0, 'grade'), run('c', 900.0), run('c', 1500.0),
    ]  # fmt: skip
    assert ladder(runs) == {'a': 1500.0, 'b': 300.0, 'c': None}
    found = verdict(runs)
    assert (found['is_passed'], found['n_stopped']) == (False, 2)
    assert found['reasons'] == {'finished': 7, 'temperature': 1, 'grade': 1}


def test_one_failure_among_seeds_and_pressures_of_a_rung_counts() -> None:
    assert ladder([run('a', 300.0), run('a', 300.0, 'bond')]) == {'a': None}


def test_every_start_at_the_top_is_a_pass() -> None:
    assert verdict([run('a', 300.0), run('a', 600.0), run('b', 300.0), run('b', 600.0)])['is_passed']


def test_a_rung_that_a_start_never_ran_is_not_reached() -> None:
    runs = [run('a', 300.0), run('a', 600.0), run('b', 300.0)]
    assert ladder(runs) == {'a': 600.0, 'b': 300.0}
    assert not verdict(runs)['is_passed']


def test_no_trajectory_is_no_pass() -> None:
    found = verdict([])
    assert (found['is_passed'], found['gamma_max'], found['share_above_select']) == (False, None, None)


def test_the_share_of_time_counts_every_check_once() -> None:
    runs = [run('a', 300.0, share_above_select=0.5), run('b', 300.0, n_checks=40), run('c', 300.0, 'error', gamma_max=None)]
    runs[2] |= {'share_above_select': None, 'n_checks': 0}
    assert verdict(runs)['share_above_select'] == pytest.approx(0.1)
