"""Frames that a run keeps: `CandidatePool` those beyond the training set, spread over time, `Recent` the newest ones."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from ase import Atoms

POOL: Final = 8
"""Frames held during the run, as a multiple of `limit`, before they are thinned."""

MEMORY: Final = 32
"""Newest frames that are remembered in case the run fails."""


class Recent:
    """The newest frames of a run that were in order when they were looked at."""

    def __init__(self) -> None:
        self._frames: deque[Atoms] = deque(maxlen=MEMORY)

    def add(self, frame: Atoms) -> None:
        """Remember a frame."""
        self._frames.append(frame)

    def chosen(self) -> list[Atoms]:
        """Return those frames 16, 8, 4, 2 and 1 checks before the end that there are, in the order of time."""
        backwards = [2**power for power in range(MEMORY.bit_length() - 1)]
        return [self._frames[-number] for number in reversed(backwards) if number <= len(self._frames)]


@dataclass
class CandidatePool:
    """Candidates in the order of time, thinned to the highest grade within equal stretches of time.

    :param limit: largest number of frames that :meth:`chosen` returns.
    :param frames: what is held at present; `info` has `step` and `gamma_max`.
    :param n_seen: frames added so far.
    """

    limit: int
    frames: list[Atoms] = field(default_factory=list)
    n_seen: int = 0

    def add(self, frame: Atoms) -> bool:
        """Add the next frame and return whether older ones were dropped."""
        self.n_seen += 1
        self.frames.append(frame)
        if len(self.frames) <= POOL * self.limit:
            return False
        last = self.frames.pop()
        self.frames = [*best_of(self.frames, POOL * self.limit // 2), last]
        return True

    def chosen(self) -> list[Atoms]:
        """Return at most `limit` frames; the last one, at which the run may have stopped, is always among them."""
        if len(self.frames) <= self.limit:
            return self.frames
        return [*best_of(self.frames[:-1], self.limit - 1), self.frames[-1]]


def best_of(frames: list[Atoms], limit: int) -> list[Atoms]:
    """Return at most `limit` frames in the order of time: the highest grade of each of as many equal stretches of time.

    Places of stretches without a frame go to the highest grades among the others.
    """
    if len(frames) <= limit or limit == 0:
        return frames[:limit]
    steps = np.array([frame.info['step'] for frame in frames])
    grades = np.array([frame.info['gamma_max'] for frame in frames])
    stretches = (steps - steps[0]) * limit // (steps[-1] - steps[0] + 1)
    by_grade = np.argsort(-grades, kind='stable')
    _, first = np.unique(stretches[by_grade], return_index=True)
    best = by_grade[first]
    others = by_grade[~np.isin(by_grade, best)]
    return [frames[index] for index in sorted([*best, *others[: limit - len(best)]])]
