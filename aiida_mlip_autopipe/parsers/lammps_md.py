"""Parser of `LammpsMdCalculation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida import orm
from aiida.engine import ExitCode

from aiida_mlip_autopipe.formats.restarts import RESTARTS
from aiida_mlip_autopipe.parsers.worker import WorkerParser

FAILED = 'error'
"""Reason of a trajectory that ended by an error of LAMMPS."""


class LammpsMdParser(WorkerParser):
    """Attaches candidates, their grades and thermodynamics; a stopped trajectory is a result, one that never started is not."""

    def attach(self, folder: Path, report: dict[str, Any]) -> None:
        """Attach the grades of the candidates, the traces of the trajectories and the restart files."""
        self.attach_arrays(folder, 'candidate_grades')
        self.attach_arrays(folder, 'trajectories')
        restarts = folder / RESTARTS
        if restarts.is_dir() and any(restarts.iterdir()):
            self.out('restarts', orm.FolderData(tree=str(restarts)))

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return an error when no trajectory made a step or was stopped at its start for a reason of its own."""
        runs = report['trajectories']
        if any(run['steps_done'] > 0 or run['reason'] != FAILED for run in runs):
            return None
        return self.exit_codes.ERROR_NO_TRAJECTORY.format(n_starts=len(runs), reasons=[run['message'] for run in runs])
