"""What the trajectories of an exploration say together: which rung of the ladder each start reached, and why others ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Run = Mapping[str, Any]
"""The entry of a trajectory, as `findings.Findings` makes it."""


def verdict(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the totals of an exploration.

    `ladder` has for each start the highest temperature (K) up to which all its trajectories passed, or None; `is_passed` says
    whether every one reached the top. `share_above_select` weights each trajectory by its checks after the warm-up.

    :param runs: entries of all trajectories.
    """
    temperatures = sorted({run['temperature'] for run in runs})
    ladder = [
        {'start': start, 'lineage': own[0]['lineage'], 'reached': _reached(own, temperatures)}
        for start, own in _by_start(runs).items()
    ]
    return {
        'n_stopped': sum(not run['passed'] for run in runs),
        'reasons': dict(Counter(run['reason'] for run in runs)),
        'temperatures': temperatures,
        'ladder': ladder,
        'is_passed': bool(ladder) and all(rung['reached'] == temperatures[-1] for rung in ladder),
        'gamma_max': max((run['gamma_max'] for run in runs if run['gamma_max'] is not None), default=None),
        'share_above_select': _share(runs),
    }


def _by_start(runs: Sequence[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run['start'], []).append(run)
    return found


def _reached(runs: Sequence[Run], temperatures: Sequence[float]) -> float | None:
    reached = None
    for temperature in temperatures:
        own = [run for run in runs if run['temperature'] == temperature]
        if not own or not all(run['passed'] for run in own):
            return reached
        reached = temperature
    return reached


def _share(runs: Sequence[Run]) -> float | None:
    """Return the share of all checks at which the grade was above the threshold."""
    looked = [run for run in runs if run.get('share_above_select') is not None]
    n_checks = sum(run['n_checks'] for run in looked)
    return sum(run['share_above_select'] * run['n_checks'] for run in looked) / n_checks if n_checks else None
