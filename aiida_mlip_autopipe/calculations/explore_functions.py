"""Calcfunctions that put together what the jobs of an exploration gave."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.select.duplicates import repeated_uids

GRADES = 'grades_'
"""Prefix of the names under which :func:`unique_candidates` takes the grades that belong to frames of the same name."""


@calcfunction
def unique_candidates(**parts: orm.ArrayData) -> dict[str, orm.ArrayData]:
    """Return the frames of all parts as `candidates`, each structure once, and their grades as `candidate_grades`.

    :param parts: frames, in the order of their names; beside each may stand its grades, `gamma` of shape (n_atoms,), under the
        same name with the prefix `grades_`. Without grades for every part there is no output of grades.
    """
    names = sorted(name for name in parts if not name.startswith(GRADES))
    frames = Frames.concatenate([parts[name].frames for name in names])
    keep = np.flatnonzero(~repeated_uids(frames.uid.tolist()))
    outputs: dict[str, orm.ArrayData] = {'candidates': FramesData(frames.take(keep))}
    if all(f'{GRADES}{name}' in parts for name in names):
        grades = np.concatenate([parts[f'{GRADES}{name}'].get_array('gamma') for name in names])
        rows = np.concatenate([np.arange(frames.offsets[index], frames.offsets[index + 1]) for index in keep])
        outputs['candidate_grades'] = orm.ArrayData({'gamma': grades[rows]})
    return outputs


@calcfunction
def summarize_exploration(**rungs: orm.Data) -> orm.Dict:
    """Return all trajectories, how many candidates they gave, the highest grade, and the share of time above the threshold.

    :param rungs: reports of the jobs, whose names sort in the order of the temperatures; and `candidates`, where there are any:
        the frames that were left when duplicates were removed.
    """
    reports = [rungs[name].get_dict() for name in sorted(rungs) if name != 'candidates']
    trajectories = [run for report in reports for run in report['trajectories']]
    found = sum(run['n_candidates'] for run in trajectories)
    n_unique = len(rungs['candidates']) if 'candidates' in rungs else found
    within = sum(report.get('n_duplicates', 0) for report in reports)
    return orm.Dict(
        {
            'n_trajectories': len(trajectories),
            'n_stopped': sum(run['reason'] != 'finished' for run in trajectories),
            'n_candidates': n_unique,
            'n_duplicates': found - n_unique + within,
            'n_uncut': sum(report.get('n_uncut', 0) for report in reports),
            'gamma_max': max((run['gamma_max'] for run in trajectories if run['gamma_max'] is not None), default=None),
            'share_above_select': _share(trajectories),
            'temperatures': sorted({run['temperature'] for run in trajectories}),
            'trajectories': trajectories,
        }
    )


def _share(trajectories: list[dict[str, Any]]) -> float | None:
    """Return the share of all checks at which the grade was above the threshold, each trajectory weighted by its checks."""
    looked = [run for run in trajectories if run.get('share_above_select') is not None]
    n_checks = sum(run['n_checks'] for run in looked)
    return sum(run['share_above_select'] * run['n_checks'] for run in looked) / n_checks if n_checks else None
