"""Parser of `EvaluateCalculation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida.engine import ExitCode

from aiida_mlip_autopipe.parsers.worker import WorkerParser


class EvaluateParser(WorkerParser):
    """Attaches the predictions, and refuses an evaluation without any."""

    def attach(self, folder: Path, report: dict[str, Any]) -> None:
        """Attach the predictions."""
        self.attach_arrays(folder, 'predictions')

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return an error when there are no predictions."""
        if 'predictions' in self.outputs:
            return None
        return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(cause='the predictions are missing')
