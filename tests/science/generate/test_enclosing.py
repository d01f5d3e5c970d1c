"""Smallest balls: known ones, and no ball that is smaller."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from aiida_mlip_autopipe.science.generate.enclosing import fits_in_ball, smallest_ball


@pytest.mark.parametrize(
    ('points', 'radius'),
    [
        ([[1, 2, 3]], 0.0),
        ([[1, 2, 3]] * 4, 0.0),
        ([[0, 0, 0], [2, 0, 0]], 1.0),
        ([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0.5, 0, 0]], 1.0),
        ([[1, 0, 0], [-0.5, 3**0.5 / 2, 0], [-0.5, -(3**0.5) / 2, 0]], 1.0),
        ([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], 3**0.5),
        ([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], 3**0.5 / 2),
    ],
)
def test_known_balls(points: list[list[float]], radius: float) -> None:
    given_points = np.array(points, dtype=np.float64)
    assert smallest_ball(given_points)[1] == pytest.approx(radius, abs=1e-9)
    assert fits_in_ball(given_points, radius + 1e-8)
    assert radius == 0.0 or not fits_in_ball(given_points, 0.999 * radius)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40), flat=st.booleans())
def test_no_ball_is_smaller(seed: int, count: int, flat: bool) -> None:
    points = np.random.default_rng(seed).normal(size=(count, 3)) * [1.0, 1.0, 0.0 if flat else 1.0]
    centre, radius = smallest_ball(points)
    assert np.linalg.norm(points - centre, axis=1).max() <= radius * (1 + 1e-8)
    # It is the smallest just where its centre lies in the hull of the points on its surface.
    touching = points[np.linalg.norm(points - centre, axis=1) >= radius * (1 - 1e-6) - 1e-12]
    _, distance = nnls(np.vstack([touching.T, np.ones(len(touching))]), np.append(centre, 1.0))
    assert distance < 1e-5
