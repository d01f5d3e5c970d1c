"""Parser of `SelectCalculation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from aiida.engine import ExitCode

from aiida_mlip_autopipe.common.errors import DownloadError, ModelError, NoGpuError, UnknownElementError
from aiida_mlip_autopipe.parsers.worker import WorkerParser


class SelectParser(WorkerParser):
    """Attaches the selection with the reason for every rejected frame."""

    LABELS: ClassVar[dict[str, str]] = {
        **WorkerParser.LABELS,
        ModelError.__name__: 'ERROR_MODEL_REFUSED',
        UnknownElementError.__name__: 'ERROR_ELEMENT_UNKNOWN',
        NoGpuError.__name__: 'ERROR_NO_GPU',
        DownloadError.__name__: 'ERROR_DOWNLOAD_FAILED',
    }

    def attach(self, folder: Path, report: dict[str, Any]) -> None:
        """Attach the selection."""
        self.attach_arrays(folder, 'selection')

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return an error when no candidate is left."""
        if 'selection' not in self.outputs:
            return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(cause='the selection is missing')
        if report['counts']['selected'] > 0:
            return None
        return self.exit_codes.ERROR_NOTHING_SELECTED.format(n_frames=report['counts']['generated'], reasons=report['reasons'])
