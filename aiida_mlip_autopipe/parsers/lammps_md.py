"""Parser of `LammpsMdCalculation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida.engine import ExitCode

from aiida_mlip_autopipe.parsers.worker import WorkerParser


class LammpsMdParser(WorkerParser):
    """Attaches candidates and thermodynamics; a stopped trajectory is a result, one that never started is not."""

    def attach(self, folder: Path, report: dict[str, Any]) -> None:
        """Attach the traces of the trajectories."""
        self.attach_arrays(folder, 'trajectories')

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return an error when no trajectory made a step."""
        runs = report['trajectories']
        if any(run['steps_done'] > 0 for run in runs):
            return None
        return self.exit_codes.ERROR_NO_TRAJECTORY.format(n_starts=len(runs), reasons=[run['message'] for run in runs])
