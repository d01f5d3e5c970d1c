"""What the trajectories of an exploration say together: which rung of the ladder each start reached, and why others ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aiida_mlip_autopipe.common.reports import ExploreTotals, Rung, TrajectoryEntry


def verdict(runs: Sequence[TrajectoryEntry]) -> ExploreTotals:
    """Return the totals of an exploration.

    `ladder` has for each start the highest temperature (K) up to which all its trajectories passed, or None; `is_passed` says
    whether every one reached the top. `share_above_select` weights each trajectory by its checks after the warm-up.

    :param runs: entries of all trajectories.
    """
    temperatures = sorted({run['temperature'] for run in runs})
    ladder = [
        Rung(start=start, lineage=own[0]['lineage'], reached=_reached(own, temperatures))
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


def _by_start(runs: Sequence[TrajectoryEntry]) -> dict[str, list[TrajectoryEntry]]:
    found: dict[str, list[TrajectoryEntry]] = {}
    for run in runs:
        found.setdefault(run['start'], []).append(run)
    return found


def _reached(runs: Sequence[TrajectoryEntry], temperatures: Sequence[float]) -> float | None:
    reached = None
    for temperature in temperatures:
        own = [run for run in runs if run['temperature'] == temperature]
        if not own or not all(run['passed'] for run in own):
            return reached
        reached = temperature
    return reached


def _share(runs: Sequence[TrajectoryEntry]) -> float | None:
    """Return the share of all checks at which the grade was above the threshold."""
    looked = [(share, run['n_checks']) for run in runs if (share := run.get('share_above_select')) is not None]
    n_checks = sum(count for _, count in looked)
    return sum(share * count for share, count in looked) / n_checks if n_checks else None
