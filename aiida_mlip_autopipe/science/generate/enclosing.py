"""The smallest ball around points: whether one shift brings all displacements below a bound."""

from __future__ import annotations

import itertools

import numpy as np

from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

_ROUNDING = 1e-9
"""Relative error of radii, far above that of double precision."""


def fits_in_ball(points: FloatArray, radius: float) -> bool:
    """Return whether some ball of this radius holds all points.

    :param points: shape (n_points, 3), at least one.
    """
    limit = radius * (1.0 + _ROUNDING)
    if np.linalg.norm(points - points.mean(axis=0), axis=1).max() <= limit:
        return True
    return smallest_ball(points)[1] <= limit


def smallest_ball(points: FloatArray) -> tuple[FloatArray, float]:
    """Return centre and radius of the smallest ball that holds all points.

    The ball of a few points is enlarged by the point farthest outside until there is none; each is the smallest ball of at
    most four points on its surface, and its radius grows with each step.

    :param points: shape (n_points, 3), at least one.
    """
    support = np.zeros(1, dtype=np.int64)
    centre, radius = points[0], 0.0
    for _ in range(100 * len(points)):
        distances = np.linalg.norm(points - centre, axis=1)
        farthest = int(distances.argmax())
        if distances[farthest] <= radius * (1.0 + _ROUNDING) + 1e-15:
            return centre, radius
        support, centre, radius = _enlarged(points, np.append(support, farthest))
    raise AssertionError('the radius of an enclosing ball stopped growing')


def _enlarged(points: FloatArray, members: IntArray) -> tuple[IntArray, FloatArray, float]:
    """Return the smallest ball around at most five points, and those on its surface."""
    best: tuple[IntArray, FloatArray, float] | None = None
    for size in range(2, min(len(members), 4) + 1):
        for chosen in itertools.combinations(members, size):
            centre, radius = _through(points[list(chosen)])
            outside = np.linalg.norm(points[members] - centre, axis=1).max() > radius * (1.0 + _ROUNDING) + 1e-15
            if not outside and (best is None or radius < best[2]):
                best = np.array(chosen), centre, radius
    if best is None:
        raise AssertionError('five points without an enclosing ball')
    return best


def _through(points: FloatArray) -> tuple[FloatArray, float]:
    """Return the smallest ball with all of up to four points on its surface: c = p₀ + Σ λ_k a_k, 2 a_j · (c - p₀) = |a_j|²."""
    arms = points[1:] - points[0]
    gram = arms @ arms.T
    weights = np.linalg.lstsq(2.0 * gram, np.diag(gram), rcond=None)[0]
    centre = points[0] + weights @ arms
    return centre, float(np.linalg.norm(points - centre, axis=1).max())
