"""Parser of `CheckCalculation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida.engine import ExitCode

from aiida_mlip_autopipe.parsers.worker import WorkerParser


class CheckParser(WorkerParser):
    """Attaches the curves, and names the checks that failed."""

    def attach(self, folder: Path, report: dict[str, Any]) -> None:
        """Attach the curves behind the checks."""
        self.attach_arrays(folder, 'curves')

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return an error when no check was made, or when one failed."""
        checks = report.get('checks', [])
        if not checks:
            return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(cause='the report names no check')
        reasons = [check['message'] for check in checks if check['passed'] is False]
        return self.exit_codes.ERROR_CHECKS_FAILED.format(reasons='; '.join(reasons)) if reasons else None
