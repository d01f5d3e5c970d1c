"""Parser of `EvaluateCalculation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida_mlip_autopipe.parsers.worker import WorkerParser


class EvaluateParser(WorkerParser):
    """Attaches the predictions."""

    def attach(self, folder: Path, report: dict[str, Any]) -> None:
        """Attach the predictions."""
        self.attach_arrays(folder, 'predictions')
