"""Parser of `LabelAseCalculation`."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reasons import FrameFailure, counted
from aiida_mlip_autopipe.parsers.worker import WorkerParser
from aiida_mlip_autopipe.science.labeller import Labeller


class LabelAseParser(WorkerParser):
    """Writes the uuid of the calculation on every label, and stops when too many frames failed."""

    def adopt(self, frames: Frames) -> Frames:
        """Return the frames with the uuid of the calculation that labelled them."""
        return frames.replace(label_uuid=self.node.uuid) if frames.labelled.any() else frames

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return an error when the rate of failures is above its limit."""
        limit = Labeller.of(self.node.inputs.settings.get_dict()).max_failure_rate
        if report['n_failed'] <= limit * report['n_frames']:
            return None
        return self.exit_codes.ERROR_FAILURE_RATE.format(
            n_failed=report['n_failed'],
            n_frames=report['n_frames'],
            limit=limit,
            reasons=counted(FrameFailure.from_mapping(entry) for entry in report['failures']),
        )
