"""Selectors that look at features: the shared interface and refusals; the random one takes each point equally often."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.selection.fps import farthest_from_medoid, farthest_points
from aiida_mlip_autopipe.science.selection.random_points import random_points

SELECTORS = [random_points, farthest_points, farthest_from_medoid]
DETERMINISTIC = [farthest_points, farthest_from_medoid]


def points(n=60, d=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize('pick', SELECTORS)
@pytest.mark.parametrize('count', [0, 1, 5, 8, 20, 60, 90])
@pytest.mark.parametrize('n_known', [0, 3, 20])
def test_no_point_twice_and_as_many_as_wanted(pick, count, n_known):
    features = points()
    picks = pick(features, count, known=points(n_known, seed=1) if n_known else None, rng=np.random.default_rng(0))
    assert picks.dtype == np.int64
    assert len(set(picks.tolist())) == len(picks) == min(count, 60)
    assert ((picks >= 0) & (picks < 60)).all()


@pytest.mark.parametrize('pick', SELECTORS)
@pytest.mark.parametrize('features', [np.zeros((5, 3)), np.ones((5, 3)), np.zeros((0, 3)), np.outer(np.arange(5.0), np.ones(3))])
def test_degenerate_features(pick, features):
    picks = pick(features, 4, known=None, rng=np.random.default_rng(0))
    assert len(set(picks.tolist())) == min(4, len(features))


@pytest.mark.parametrize('pick', SELECTORS)
@pytest.mark.parametrize(
    ('features', 'count', 'text'),
    [(np.full((3, 2), np.nan), 1, 'frame 0 are not finite'), (np.zeros(3), 1, 'shape'), (np.zeros((3, 2)), -1, 'got -1')],
)
def test_refusals(pick, features, count, text):
    with pytest.raises(InputError, match=text):
        pick(features, count, known=None, rng=np.random.default_rng(0))


@pytest.mark.parametrize('pick', DETERMINISTIC)
def test_permutation_of_the_pool(pick):
    features = points(40, 6, seed=2)
    order = np.random.default_rng(3).permutation(40)
    picks = pick(features, 6, known=None, rng=None)
    again = order[pick(features[order], 6, known=None, rng=None)]
    assert set(again.tolist()) == set(picks.tolist())


def test_random_needs_and_obeys_its_generator():
    with pytest.raises(InputError, match='random generator'):
        random_points(points(), 3)
    first, again, other = (random_points(points(), 30, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


def test_random_takes_each_point_equally_often():
    rng = np.random.default_rng(0)
    counts = sum(np.bincount(random_points(np.zeros((10, 1)), 3, rng=rng), minlength=10) for _ in range(3000))
    np.testing.assert_allclose(counts / 3000, 0.3, atol=0.04)
