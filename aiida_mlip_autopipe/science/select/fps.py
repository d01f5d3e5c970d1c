"""Farthest-point sampling: each pick is the point farthest from all points picked or known before."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

_BLOCK = 65_536
"""Distances held at a time in the comparison with known points."""


def farthest_points(
    features: FloatArray, count: int, *, known: FloatArray | None = None, rng: np.random.Generator | None = None
) -> IntArray:
    """Return the indices of `count` points, or of all when there are fewer, in the order in which they were picked.

    Without known points the first pick is the point farthest from the mean. Ties go to the lowest index. A running minimum
    of squared distances makes it O(n k d) in time and O(n) in memory beside the features.

    :param features: shape (n, d), of comparable scale in each column.
    :param count: number of points to pick, at least 0.
    :param known: points that are taken already and are not picked again, shape (m, d), or None.
    :param rng: not drawn from; accepted because all selectors share one signature.
    :raises InputError: a feature is not finite, a shape does not fit or the count is negative.
    """
    del rng
    pool = _checked(features, 'features')
    taken = np.empty((0, pool.shape[1])) if known is None else _checked(known, 'known features')
    if taken.shape[1] != pool.shape[1]:
        raise InputError(f'known features have {taken.shape[1]} columns, the pool has {pool.shape[1]}')
    if count < 0:
        raise InputError(f'the number of points to pick must be at least 0, got {count}')
    n_picks = min(count, len(pool))
    picks = np.empty(n_picks, dtype=np.int64)
    if n_picks == 0:
        return picks
    nearest = _squared_to_nearest(pool, taken) if len(taken) else _squared_to(pool, pool.mean(axis=0))
    for step in range(n_picks):
        if step == 1 and not len(taken):
            nearest = np.full(len(pool), np.inf)  # the mean chose the first pick and is no point itself
            nearest[picks[0]] = -1.0
        if step > 0:
            np.minimum(nearest, _squared_to(pool, pool[picks[step - 1]]), out=nearest)
        picks[step] = np.argmax(nearest)
        nearest[picks[step]] = -1.0
    return picks


def _checked(features: FloatArray, name: str) -> FloatArray:
    values = np.ascontiguousarray(features, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f'{name} must have the shape (n, d), got {values.shape}')
    if not np.isfinite(values).all():
        raise InputError(f'{name} of frame {int(np.argwhere(~np.isfinite(values))[0][0])} are not finite')
    return values


def _squared_to(points: FloatArray, centre: FloatArray) -> FloatArray:
    return np.asarray(cdist(points, centre[None, :], 'sqeuclidean')[:, 0])


def _squared_to_nearest(points: FloatArray, known: FloatArray) -> FloatArray:
    rows = max(1, _BLOCK // len(known))
    blocks = [cdist(points[start : start + rows], known, 'sqeuclidean').min(axis=1) for start in range(0, len(points), rows)]
    return np.concatenate(blocks)
