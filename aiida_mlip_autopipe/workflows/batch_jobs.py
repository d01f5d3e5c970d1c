"""What became of the frames of a finished `PwBatchCalculation`, for the chains that submit such jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from aiida import orm

from aiida_mlip_autopipe.engines.espresso.batch import OUT_OF_TIME

MAX_STARTS: Final = 3
"""How often a frame is put into a job before it counts as failed, when jobs end before its turn or in the middle of it."""


@dataclass(frozen=True)
class BatchOutcome:
    """The frames of a job that have no label; indices are those of its input `frames`.

    :param again: lost with the job, cut off by its end, or not started.
    :param reason: why they wait for another job.
    :param failed: reason by index of the frames that failed by themselves.
    """

    again: list[int]
    reason: str = OUT_OF_TIME
    failed: dict[int, str] = field(default_factory=dict)


def outcome_of(job: orm.CalcJobNode, indices: list[int]) -> BatchOutcome:
    """Return what became of the frames `indices` of a job that ended in whatever way."""
    if 'report' not in job.outputs:
        return BatchOutcome(indices, f'job_failed: {job.exit_message or job.process_state.value}')
    report = job.outputs.report.get_dict()
    out_of_time = [failure['index'] for failure in report['failures'] if failure['reason'] == OUT_OF_TIME]
    failed = {f['index']: f['reason'] for f in report['failures'] if f['reason'] != OUT_OF_TIME}
    return BatchOutcome(report['not_started'] + out_of_time, failed=failed)
