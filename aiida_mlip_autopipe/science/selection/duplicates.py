"""Frames that repeat another: the same structure, or one with nearly the same features."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from scipy.spatial import cKDTree

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, IntArray


def repeated_uids(uids: Sequence[str], known: Collection[str] = ()) -> BoolArray:
    """Return whether each uid is `known` or occurred earlier in the sequence, shape (n,).

    :param uids: one for each frame.
    :param known: uids that count as seen.
    """
    seen = set(known)
    repeated = np.zeros(len(uids), dtype=bool)
    for index, uid in enumerate(uids):
        repeated[index] = uid in seen
        seen.add(uid)
    return repeated


def duplicate_of(features: FloatArray, groups: Sequence[str], tolerance: float) -> IntArray:
    """Return for each frame the index of the earlier frame that it duplicates, or -1, shape (n,).

    A frame duplicates the earliest frame of its group that is itself no duplicate and lies within `tolerance`. No chain of
    small steps can therefore merge frames that are far apart.

    :param features: shape (n, d), of any unit.
    :param groups: only frames of equal group are compared, for example of equal chemical formula; length n.
    :param tolerance: largest Euclidean distance between the features of duplicates, at least 0.
    :raises InputError: shapes do not fit, the tolerance is negative or a feature is not finite.
    """
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or len(values) != len(groups):
        raise InputError(f'features of shape {values.shape} do not fit {len(groups)} groups')
    if not tolerance >= 0.0:
        raise InputError(f'the tolerance of duplicates must be at least 0, got {tolerance}')
    if not np.isfinite(values).all():
        raise InputError(f'features of frame {int(np.argwhere(~np.isfinite(values))[0][0])} are not finite')
    originals = np.full(len(values), -1, dtype=np.int64)
    _, labels = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    for members in np.split(np.argsort(labels, kind='stable'), np.cumsum(np.bincount(labels))[:-1] if len(labels) else []):
        if len(members) > 1:
            originals[members] = _within_group(values[members], members, tolerance)
    return originals


def _within_group(values: FloatArray, members: IntArray, tolerance: float) -> IntArray:
    tree = cKDTree(values)
    originals = np.full(len(values), -1, dtype=np.int64)
    for index in range(len(values)):
        if originals[index] >= 0:
            continue
        near = np.asarray(tree.query_ball_point(values[index], tolerance), dtype=np.int64)
        later = near[(near > index) & (originals[near] < 0)] if len(near) else near
        originals[later] = members[index]
    return originals
