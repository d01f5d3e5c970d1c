"""Frames divided into jobs that take about equally long."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence


def equal_batches(costs: Sequence[float], *, n_jobs: int, max_frames: int) -> list[list[int]]:
    """Return the indices of each job, the dearest first within a job.

    The dearest frame left goes to the job that has least to do (Graham, "Bounds on multiprocessing timing anomalies", 1969: at
    most 4/3 of the best possible longest job).

    :param costs: predicted cost of each frame, any unit.
    :param n_jobs: jobs wanted.
    :param max_frames: largest number of frames of a job; more jobs are made where it demands so.
    """
    if not costs:
        return []
    count = min(max(n_jobs, math.ceil(len(costs) / max_frames)), len(costs))
    jobs: list[list[int]] = [[] for _ in range(count)]
    loads = [(0.0, number) for number in range(count)]
    for index in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        load, number = heapq.heappop(loads)
        jobs[number].append(index)
        if len(jobs[number]) < max_frames:
            heapq.heappush(loads, (load + costs[index], number))
    return jobs
