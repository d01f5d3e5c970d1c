"""Selection by chance, behind the interface of all selectors."""

from __future__ import annotations

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.science.selection.features import Features, checked_pool


def random_points(
    features: Features, count: int, *, known: Features | None = None, rng: np.random.Generator | None = None
) -> IntArray:
    """Return the indices of `count` points, or of all when there are fewer, each equally likely.

    :param features: shape (n, d); the values do not matter.
    :param count: number of points to pick, at least 0.
    :param known: shape (m, d), or None; does not matter.
    :param rng: what is drawn from.
    :raises InputError: there is no rng, a feature is not finite, a shape does not fit or the count is negative.
    """
    pool, _ = checked_pool(features, count, known)
    if rng is None:
        raise InputError('a random selection needs a random generator')
    return np.asarray(rng.permutation(len(pool))[:count], dtype=np.int64)
