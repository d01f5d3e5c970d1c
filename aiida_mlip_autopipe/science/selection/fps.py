"""Farthest-point sampling: each pick is the point farthest from all points picked or known before."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt

from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.science.selection.features import Features, checked_pool

Single = npt.NDArray[np.float32]
Runner = Callable[[Callable[[IntArray], None], list[IntArray]], None]

TAKEN: Final = -1.0
"""In place of the squared distance of a centre, below that of any other point."""

ROW: Final = 256
FIRST_LOOK: Final = 32
LOOK: Final = 1024
"""Points that are brought up to date at once: first the one with the highest bound of each of the `FIRST_LOOK` highest rows of
`ROW` points, then those that may be farther than the farthest of these."""

CENTRES: Final = 4096
"""Centres that so many points are compared with at once."""

EXACT_BLOCK: Final = 8192
"""Distances in double precision that are held at once."""

UNIT_ROUNDOFF: Final = 2.0**-24
"""Of float32."""


def farthest_points(
    features: Features, count: int, *, known: Features | None = None, rng: np.random.Generator | None = None
) -> IntArray:
    """Return the indices of `count` points, or of all when there are fewer, in the order in which they were picked.

    Without known points the first pick is the point farthest from the mean. Ties go to the lowest index.

    :param features: shape (n, d), of comparable scale in each column; float32 is used as it is, without a copy.
    :param count: number of points to pick, at least 0.
    :param known: points that are taken already and are not picked again, shape (m, d), or None.
    :param rng: not drawn from; accepted because all selectors share one signature.
    :raises InputError: a feature is not finite, a shape does not fit or the count is negative.
    """
    del rng
    pool, taken = checked_pool(features, count, known)
    if len(taken) or not len(pool):
        return _sample(pool, count, taken, None)
    return _sample(pool, count, taken, int(_squares_to_mean(pool).argmax()))


def farthest_from_medoid(
    features: Features, count: int, *, known: Features | None = None, rng: np.random.Generator | None = None
) -> IntArray:
    """Return the same as :func:`farthest_points`, but without known points begin at the medoid.

    The medoid is the point with the smallest sum of squared distances to all others, which is the one nearest to the mean.
    """
    del rng
    pool, taken = checked_pool(features, count, known)
    if len(taken) or not len(pool):
        return _sample(pool, count, taken, None)
    return _sample(pool, count, taken, int(_squares_to_mean(pool).argmin()))


def _squares_to_mean(pool: Features) -> FloatArray:
    mean = pool.mean(axis=0, dtype=np.float64)
    return np.concatenate([((pool[i : i + LOOK] - mean) ** 2).sum(axis=1) for i in range(0, len(pool), LOOK)])


def _sample(pool: Features, count: int, taken: Features, first: int | None) -> IntArray:
    n_picks = min(count, len(pool))
    picks = np.empty(n_picks, dtype=np.int64)
    if n_picks == 0:
        return picks
    with _runner() as run:
        distances = _Distances(pool, taken, n_picks, run)
        for step in range(n_picks):
            picks[step] = first if step == 0 and first is not None else distances.farthest()
            distances.take(int(picks[step]))
    return picks


@contextmanager
def _runner() -> Iterator[Runner]:
    """Give a function that applies another to many parts, on all cores that this process may use."""
    n_cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(n_cores) as workers:

        def run(function: Callable[[IntArray], None], parts: list[IntArray]) -> None:
            if len(parts) < n_cores or n_cores == 1:
                for part in parts:
                    function(part)
            else:
                list(workers.map(function, parts))

        yield run


class _Distances:
    """Squared distance of each point to the nearest centre, known exactly only where that matters.

    A running minimum can only fall, so a point whose last known value lies below the largest one needs no new look. A point
    that does is compared with all centres that came since its last look at once, in a product of matrices in float32:

        |x - c|² = |x|² + |c|² - 2 x·c,   with an error of at most 2 g (|x|² + |c|²),   g = (d + 8) u,

    where u is the unit roundoff. With that error added, the value is an upper bound. Only points whose upper bound reaches the
    largest distance are compared in double precision, so the picks are those of a plain loop in double precision.
    """

    def __init__(self, pool: Features, taken: Features, n_picks: int, run: Runner) -> None:
        self._pool, self._run = pool, run
        n_points, n_columns = pool.shape
        self._low, low_taken = _in_single(pool, taken)
        error = 2.0 * (n_columns + 8) * UNIT_ROUNDOFF
        self._growth, self._slack = np.float32(1.0 + error), np.float32(2.0 * error)
        self._squares = self._growth * np.einsum('ij,ij->i', self._low, self._low)
        self._centres = np.empty((len(taken) + n_picks, n_columns))
        self._centres[: len(taken)] = taken
        self._low_centres = np.zeros((len(taken) + n_picks, n_columns), dtype=np.float32)
        self._low_centres[: len(taken)] = low_taken
        self._centre_squares = self._growth * np.einsum('ij,ij->i', self._low_centres, self._low_centres)
        self._size = len(taken)
        self._rows = np.full((-(-n_points // ROW), ROW), TAKEN, dtype=np.float32)
        self._upper = self._rows.reshape(-1)[:n_points]
        self._upper[:] = np.inf
        self._seen = np.zeros(n_points, dtype=np.int64)
        self._exact = np.full(n_points, np.inf)
        self._seen_exactly = np.zeros(n_points, dtype=np.int64)

    def take(self, index: int) -> None:
        """Make a point a centre."""
        self._centres[self._size] = self._pool[index]
        self._low_centres[self._size] = self._low[index]
        self._centre_squares[self._size] = self._squares[index]
        self._size += 1
        self._upper[index] = TAKEN
        self._exact[index] = TAKEN

    def farthest(self) -> int:
        """Return the point whose nearest centre is the farthest; of equals the one with the lowest index."""
        first = self._first_look()
        self._bound(first)
        best = first[self._upper[first].argmax()]
        self._measure(best[None])
        level = self._exact[best]
        old = np.flatnonzero((self._upper >= level) & (self._seen < self._size))
        old = old[np.argsort(self._seen[old], kind='stable')]
        self._run(self._bound, [old[start : start + LOOK] for start in range(0, len(old), LOOK)])
        high = np.flatnonzero(self._upper >= level)
        rows = max(1, EXACT_BLOCK // self._size)
        self._run(self._measure, [high[start : start + rows] for start in range(0, len(high), rows)])
        return int(high[self._exact[high].argmax()])

    def _first_look(self) -> IntArray:
        """Return the points with the highest bounds of the highest rows: to sort all bounds would take longer than the rest."""
        highest = self._rows.max(axis=1)
        rows = np.argpartition(highest, -min(FIRST_LOOK, len(highest)))[-FIRST_LOOK:]
        points = rows * ROW + self._rows[rows].argmax(axis=1)
        return np.asarray(points[self._upper[points] > TAKEN], dtype=np.int64)

    def _bound(self, chosen: IntArray) -> None:
        """Lower the upper bounds of some points by the centres that came since their last look."""
        start = int(self._seen[chosen].min())
        if start == self._size:
            return
        for low in range(start, self._size, CENTRES):
            found = self._bounds(chosen, low, min(low + CENTRES, self._size)).min(axis=1)
            self._upper[chosen] = np.minimum(self._upper[chosen], found)
        self._seen[chosen] = self._size

    def _bounds(self, chosen: IntArray, start: int, stop: int) -> Single:
        """Return upper bounds of the squared distances of some points to the centres from `start` to `stop`."""
        new = self._low_centres[start:stop]
        bounds: Single = self._low[chosen] @ new.T
        bounds *= np.float32(-2.0)
        bounds += self._squares[chosen, None]
        bounds += self._centre_squares[start:stop]
        return bounds

    def _measure(self, chosen: IntArray) -> None:
        """Bring the distances of some points up to date in double precision, with the centres that may be the nearest only."""
        start = int(self._seen_exactly[chosen].min())
        if start < self._size:
            bounds = self._bounds(chosen, start, self._size)
            nearest = np.minimum(bounds.min(axis=1), self._upper[chosen])
            slack = self._slack * (self._squares[chosen, None] + self._centre_squares[start : self._size])
            rows, columns = np.nonzero(bounds - slack <= nearest[:, None])
            differences = self._pool[chosen[rows]] - self._centres[start + columns]
            np.minimum.at(self._exact, chosen[rows], np.einsum('ij,ij->i', differences, differences))
            self._seen_exactly[chosen] = self._size
        rounded_up = np.nextafter(self._exact[chosen].astype(np.float32), np.float32(np.inf))
        self._upper[chosen] = np.minimum(self._upper[chosen], rounded_up)


def _in_single(pool: Features, taken: Features) -> tuple[Single, Single]:
    """Return both in float32: as they are where they are in float32 already, else about their mean."""
    if pool.dtype == np.float32:
        return np.ascontiguousarray(pool, dtype=np.float32), np.asarray(taken, dtype=np.float32)
    mean = pool.mean(axis=0, dtype=np.float64)
    return (pool - mean).astype(np.float32), (taken - mean).astype(np.float32)
