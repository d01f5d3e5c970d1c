"""Calcfunction that puts the reports of the temperatures of an exploration together."""

from __future__ import annotations

from aiida import orm
from aiida.engine import calcfunction


@calcfunction
def summarize_exploration(**rungs: orm.Dict) -> orm.Dict:
    """Return all trajectories, how many candidates they gave, and the highest grade seen.

    :param rungs: reports of the temperatures; their names sort in the order of the temperatures.
    """
    trajectories = [run for name in sorted(rungs) for run in rungs[name]['trajectories']]
    return orm.Dict(
        {
            'n_trajectories': len(trajectories),
            'n_stopped': sum(run['reason'] != 'finished' for run in trajectories),
            'n_candidates': sum(run['n_candidates'] for run in trajectories),
            'gamma_max': max((run['gamma_max'] for run in trajectories if run['gamma_max'] is not None), default=None),
            'temperatures': sorted({run['temperature'] for run in trajectories}),
            'trajectories': trajectories,
        }
    )
