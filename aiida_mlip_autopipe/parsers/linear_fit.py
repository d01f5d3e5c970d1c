"""Parser of `PodCalculation` and `AceCalculation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida.engine import ExitCode

from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.parsers.worker import WorkerParser


class LinearFitParser(WorkerParser):
    """Attaches the potential, and refuses a fit without one."""

    def attach(self, folder: Path, report: dict[str, Any]) -> None:
        """Attach the potential."""
        if (folder / files.POTENTIAL).is_dir():
            uuid = self.node.inputs.frames.uuid
            self.out('potential', PotentialData.from_folder(folder / files.POTENTIAL, training_uuid=uuid))

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return an error when the potential is missing."""
        if 'potential' in self.outputs:
            return None
        return self.exit_codes.ERROR_POTENTIAL_MISSING.format(cause=f'no folder {files.POTENTIAL}')
