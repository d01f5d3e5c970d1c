"""Parser of `GenerateCalculation`."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode

from aiida_mlip_autopipe.parsers.worker import WorkerParser


class GenerateParser(WorkerParser):
    """Refuses a generation without structures."""

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return an error when there is no structure."""
        return None if 'frames' in self.outputs else self.exit_codes.ERROR_NO_STRUCTURES
