"""Calcfunctions that put together what the jobs of an exploration gave."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reports import ExploreReport, TrajectoryEntry
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.md.verdict import verdict
from aiida_mlip_autopipe.science.selection.duplicates import repeated_uids

GRADES = 'grades_'
"""Prefix of the names under which :func:`unique_candidates` takes the grades that belong to frames of the same name."""


@calcfunction
def unique_candidates(**parts: orm.Data) -> dict[str, orm.Data]:
    """Return the frames of all parts as `candidates`, each structure once, and their grades as `candidate_grades`.

    :param parts: frames, in the order of their names; beside each may stand its grades, `gamma` of shape (n_atoms,), under the
        same name with the prefix `grades_`. Without grades for every part there is no output of grades.
    """
    names = sorted(name for name in parts if not name.startswith(GRADES))
    frames = Frames.concatenate([parts[name].frames for name in names])
    keep = np.flatnonzero(~repeated_uids(frames.uid.tolist()))
    outputs: dict[str, orm.Data] = {'candidates': FramesData(frames.take(keep))}
    if all(f'{GRADES}{name}' in parts for name in names):
        grades = np.concatenate([parts[f'{GRADES}{name}'].get_array('gamma') for name in names])
        rows = np.concatenate([np.arange(frames.offsets[index], frames.offsets[index + 1]) for index in keep])
        outputs['candidate_grades'] = orm.ArrayData({'gamma': grades[rows]})
    return outputs


@calcfunction
def summarize_exploration(**rungs: orm.Data) -> orm.Dict:
    """Return all trajectories, what they say together (:func:`~science.md.verdict.verdict`), and how many candidates they gave.

    :param rungs: reports of the jobs, whose names sort in the order of the temperatures; and `candidates`, where there are any:
        the frames that were left when duplicates were removed.
    """
    reports: list[dict[str, Any]] = [rungs[name].get_dict() for name in sorted(rungs) if name != 'candidates']
    trajectories: list[TrajectoryEntry] = [run for report in reports for run in report['trajectories']]
    found = sum(run['n_candidates'] + run.get('n_before_failure', 0) for run in trajectories)
    n_unique = len(rungs['candidates']) if 'candidates' in rungs else found
    within = sum(report.get('n_duplicates', 0) for report in reports)
    content: ExploreReport = {
        'n_trajectories': len(trajectories),
        **verdict(trajectories),
        'n_candidates': n_unique,
        'n_duplicates': found - n_unique + within,
        'n_uncut': sum(report.get('n_uncut', 0) for report in reports),
        'trajectories': trajectories,
    }
    return orm.Dict(content)
