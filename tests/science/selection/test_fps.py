"""Farthest-point sampling against a brute-force reference, with ties, warm starts, invariances and refusals."""

from __future__ import annotations

import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skmatter.sample_selection import FPS

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.selection import fps
from aiida_mlip_autopipe.science.selection.fps import farthest_from_medoid, farthest_points


def brute_force(features, count, known=None):
    taken = [] if known is None else list(known)
    picks = []
    for _ in range(min(count, len(features))):
        centres = taken if taken else [features.mean(axis=0)]
        scores = [
            -1.0 if index in picks else min(float(((row - centre) ** 2).sum()) for centre in centres)
            for index, row in enumerate(features)
        ]
        picks.append(int(np.argmax(scores)))
        taken.append(features[picks[-1]])
    return picks


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), n=st.integers(1, 25), d=st.integers(1, 4), count=st.integers(0, 30), n_known=st.integers(0, 5)
)
def test_agrees_with_brute_force(seed, n, d, count, n_known):
    rng = np.random.default_rng(seed)
    features = rng.integers(-3, 4, size=(n, d)).astype(float)  # small integers make ties and repeats
    known = rng.integers(-3, 4, size=(n_known, d)).astype(float)
    if n_known == 0 and n > 1:
        features += rng.normal(scale=1e-3, size=features.shape)  # the mean is rounded, so that its ties depend on the order
    picks = farthest_points(features, count, known=known if n_known else None)
    assert picks.tolist() == brute_force(features, count, known if n_known else None)


def test_on_a_line():
    features = np.array([[0.0], [1.0], [2.0], [3.0], [10.0]])
    assert farthest_points(features, 3).tolist() == [4, 0, 3]


def test_ties_go_to_the_lowest_index():
    square = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    assert farthest_points(square, 4).tolist() == [0, 2, 1, 3]
    assert farthest_points(np.zeros((5, 2)), 3).tolist() == [0, 1, 2]


def test_known_points_are_avoided():
    features = np.array([[0.0], [5.0], [10.0]])
    assert farthest_points(features, 1, known=np.array([[10.0]])).tolist() == [0]
    assert farthest_points(features, 2, known=np.array([[0.0], [10.0]])).tolist() == [1, 0]


def test_warm_start_continues_a_cold_one():
    features = np.random.default_rng(0).normal(size=(200, 5))
    picks = farthest_points(features, 20)
    rest = farthest_points(features, 10, known=features[picks[:10]])
    np.testing.assert_array_equal(rest, picks[10:])


def test_no_known_points_is_none():
    features = np.random.default_rng(0).normal(size=(30, 3))
    np.testing.assert_array_equal(farthest_points(features, 5, known=np.zeros((0, 3))), farthest_points(features, 5))


def test_more_than_there_are_gives_all_once():
    picks = farthest_points(np.random.default_rng(0).normal(size=(7, 3)), 100)
    assert sorted(picks.tolist()) == list(range(7))


@pytest.mark.parametrize(('n', 'count'), [(0, 3), (5, 0), (0, 0)])
def test_nothing_to_pick(n, count):
    picks = farthest_points(np.zeros((n, 2)), count)
    assert picks.shape == (0,)
    assert picks.dtype == np.int64


def test_known_beyond_one_block():
    rng = np.random.default_rng(0)
    features, known = rng.normal(size=(50, 2)), rng.normal(size=(40_000, 2))
    distances = np.array([((known - row) ** 2).sum(axis=1).min() for row in features])
    assert farthest_points(features, 1, known=known)[0] == np.argmax(distances)


def test_rotation_scale_and_permutation():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(60, 4))
    picks = farthest_points(features, 12)
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    np.testing.assert_array_equal(farthest_points(3.0 * features @ turn, 12), picks)
    order = rng.permutation(60)
    np.testing.assert_array_equal(order[farthest_points(features[order], 12)], picks)


def test_spread_is_wider_than_chance():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(500, 3))

    def closest(indices):
        chosen = features[indices]
        distances = np.linalg.norm(chosen[:, None] - chosen[None], axis=2)
        return distances[np.triu_indices(len(chosen), 1)].min()

    assert closest(farthest_points(features, 20)) > 2 * closest(rng.choice(500, 20, replace=False))


def test_rng_is_not_drawn_from():
    features = np.random.default_rng(0).normal(size=(30, 3))
    rng = np.random.default_rng(9)
    np.testing.assert_array_equal(farthest_points(features, 5, rng=rng), farthest_points(features, 5))
    assert rng.bit_generator.state == np.random.default_rng(9).bit_generator.state


def test_features_are_left_alone():
    features = np.random.default_rng(0).normal(size=(30, 3))
    before = features.copy()
    farthest_points(features, 5, known=features[:2])
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize(
    ('features', 'options', 'text'),
    [
        (np.array([[0.0], [np.nan]]), {}, 'features of frame 1 are not finite'),
        (np.array([[np.inf]]), {}, 'frame 0'),
        (np.zeros(3), {}, r'shape \(n, d\), got \(3,\)'),
        (np.zeros((3, 2)), {'known': np.zeros((1, 3))}, 'known features have 3 columns, the pool has 2'),
        (np.zeros((3, 2)), {'known': np.full((1, 2), np.nan)}, 'known features of frame 0'),
    ],
)
def test_refusals(features, options, text):
    with pytest.raises(InputError, match=text):
        farthest_points(features, 2, **options)


def test_negative_count():
    with pytest.raises(InputError, match='at least 0, got -1'):
        farthest_points(np.zeros((3, 2)), -1)


def clusters(rng, n, d, dtype=np.float64):
    """Return points of which many are near copies of another and a tenth are exact copies, in mixed order."""
    centres = rng.normal(size=(12, d))
    points = centres[rng.integers(12, size=n)] + 10 ** rng.uniform(-7, -1, (n, 1)) * rng.normal(size=(n, d))
    points[: n // 10] = points[n // 2 : n // 2 + n // 10]
    return points[rng.permutation(n)].astype(dtype)


@pytest.mark.parametrize('make', [lambda rng: rng.normal(size=(400, 30)), lambda rng: clusters(rng, 600, 20)])
def test_same_picks_as_scikit_matter(make):
    features = make(np.random.default_rng(4))
    ours = farthest_points(features, 60)
    theirs = FPS(initialize=int(ours[0]), n_to_select=60).fit(features).selected_idx_
    np.testing.assert_array_equal(features[ours], features[theirs])  # copies are one point


@pytest.mark.parametrize('offset', [0.0, 1e3])
def test_float32_is_compared_in_double_precision(offset):
    rng = np.random.default_rng(5)
    features = (rng.normal(size=(3000, 40)) * 10 ** rng.uniform(-2, 2, (3000, 1)) + offset).astype(np.float32)
    picks = farthest_points(features, 80)
    np.testing.assert_array_equal(picks, brute_force_fast(features.astype(np.float64), 80))


def brute_force_fast(features, count):
    picks = [int(((features - features.mean(axis=0)) ** 2).sum(axis=1).argmax())]
    nearest = np.full(len(features), np.inf)
    while len(picks) < count:
        nearest = np.minimum(nearest, ((features - features[picks[-1]]) ** 2).sum(axis=1))
        nearest[picks] = -1.0
        picks.append(int(nearest.argmax()))
    return picks


def test_clusters_of_near_copies():
    rng = np.random.default_rng(6)
    centres = rng.normal(size=(7, 20))
    features = (centres[rng.integers(7, size=4000)] + 1e-6 * rng.normal(size=(4000, 20))).astype(np.float32)
    picks = farthest_points(features, 30)
    np.testing.assert_array_equal(picks, brute_force_fast(features.astype(np.float64), 30))
    assert len({int(np.linalg.norm(centres - features[p], axis=1).argmin()) for p in picks[:7]}) == 7


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_copies_and_their_order(dtype):
    rng = np.random.default_rng(8)
    features = clusters(rng, 1500, 24, dtype)
    picks = farthest_points(features, 200)
    np.testing.assert_array_equal(picks, brute_force_fast(features.astype(np.float64), 200))
    order = rng.permutation(1500)
    np.testing.assert_array_equal(features[order][farthest_points(features[order], 200)], features[picks])


def test_memory_is_that_of_a_few_numbers_for_each_point():
    features = np.random.default_rng(9).normal(size=(40_000, 128)).astype(np.float32)
    tracemalloc.start()
    try:
        farthest_points(features, 200)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < features.nbytes / 2


@pytest.mark.parametrize('n_cores', [1, 3])
def test_all_cores_work_and_give_the_same_picks(monkeypatch, n_cores):
    features = np.random.default_rng(11).normal(size=(20_000, 8)).astype(np.float32)
    expected = farthest_points(features, 30)
    threads = set()
    bound = fps._Distances._bound

    def watched(self, chosen):
        threads.add(threading.get_ident())
        time.sleep(1e-4)  # so that no worker is done before the next one has begun
        bound(self, chosen)

    monkeypatch.setattr(fps._Distances, '_bound', watched)
    monkeypatch.setattr(fps.os, 'sched_getaffinity', lambda pid: set(range(n_cores)))
    np.testing.assert_array_equal(farthest_points(features, 30), expected)
    assert len(threads - {threading.get_ident()}) == (n_cores if n_cores > 1 else 0)


def test_values_beyond_float32_are_refused():
    with pytest.raises(InputError, match=r'known features must lie within 1e\+15, got -1e\+30'):
        farthest_points(np.zeros((3, 1)), 1, known=np.array([[-1e30]]))


def test_medoid_start():
    features = np.array([[0.0], [1.0], [2.0], [3.0], [10.0]])
    assert farthest_from_medoid(features, 3).tolist() == [3, 4, 0]
    sums = ((features[:, None] - features[None]) ** 2).sum(axis=(1, 2))
    assert farthest_from_medoid(features, 1)[0] == sums.argmin()
    known = features[:1]
    np.testing.assert_array_equal(farthest_from_medoid(features, 3, known=known), farthest_points(features, 3, known=known))


def test_a_copy_of_a_known_point_comes_last():
    rng = np.random.default_rng(7)
    features = rng.normal(size=(50, 6)).astype(np.float32)
    known = features[:10] + np.float32(1e-6)
    picks = farthest_points(features, 50, known=known)
    assert set(picks[-10:].tolist()) == set(range(10))
