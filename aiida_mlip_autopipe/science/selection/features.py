"""Rows of features as all selectors take them: checked once, in float32 or float64."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from aiida_mlip_autopipe.common.errors import InputError

Features = npt.NDArray[np.float32] | npt.NDArray[np.float64]
"""One row for each point, shape (n, d)."""


LARGEST: Final = 1e15
"""Values whose squares float32 can hold, with room for their sum."""


def checked_pool(features: Features, count: int, known: Features | None) -> tuple[Features, Features]:
    """Return the features of the pool and of the known points, the latter without rows when there are none.

    :param features: shape (n, d).
    :param count: number of points to pick.
    :param known: shape (m, d), or None.
    :raises InputError: a feature is not finite or too large, a shape does not fit or the count is negative.
    """
    pool = _checked(features, 'features')
    taken = pool[:0] if known is None else _checked(known, 'known features')
    if taken.shape[1] != pool.shape[1]:
        raise InputError(f'known features have {taken.shape[1]} columns, the pool has {pool.shape[1]}')
    if count < 0:
        raise InputError(f'the number of points to pick must be at least 0, got {count}')
    return pool, taken


def _checked(features: Features, name: str) -> Features:
    given = np.asarray(features)
    # two branches for mypy: the type of one cast to either is lost
    values: Features
    if given.dtype == np.float32:
        values = np.ascontiguousarray(given, dtype=np.float32)
    else:
        values = np.ascontiguousarray(given, dtype=np.float64)
    if values.ndim != 2:
        raise InputError(f'{name} must have the shape (n, d), got {values.shape}')
    if not np.isfinite(values.sum(axis=1)).all() and not (finite := np.isfinite(values)).all():
        raise InputError(f'{name} of frame {int(np.argwhere(~finite)[0][0])} are not finite')
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))  # |values| would be a copy
    if max(high, -low) > LARGEST:
        raise InputError(f'{name} must lie within {LARGEST:g}, got {max(high, low, key=abs):g}; standardise them')
    return values
