"""What became of the frames of a finished `PwBatchCalculation`, for the chains that submit such jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from aiida import orm

from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason

MAX_STARTS: Final = 3
"""How often a frame is put into a job before it counts as failed, when jobs end before its turn or in the middle of it."""


CUT_OFF: Final = FrameFailure(Reason.OUT_OF_TIME)


@dataclass(frozen=True)
class BatchOutcome:
    """The frames of a job that have no label; indices are those of its input `frames`.

    :param again: lost with the job, cut off by its end, or not started.
    :param cause: why they wait for another job.
    :param failed: the frames that failed by themselves, by index.
    """

    again: list[int]
    cause: FrameFailure = CUT_OFF
    failed: dict[int, FrameFailure] = field(default_factory=dict)


def outcome_of(job: orm.CalcJobNode, indices: list[int]) -> BatchOutcome:
    """Return what became of the frames `indices` of a job that ended in whatever way."""
    if 'report' not in job.outputs:
        return BatchOutcome(indices, FrameFailure(Reason.JOB_LOST, job.exit_message or job.process_state.value))
    report = job.outputs.report.get_dict()
    failed = {entry['index']: FrameFailure.from_mapping(entry) for entry in report['failures']}
    out_of_time = [index for index, failure in failed.items() if failure.reason is Reason.OUT_OF_TIME]
    return BatchOutcome(report['not_started'] + out_of_time, failed={i: f for i, f in failed.items() if i not in out_of_time})
