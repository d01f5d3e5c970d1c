"""Duplicates by uid and by features: known answers, groups, no chaining, a brute-force reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.selection.duplicates import duplicate_of, repeated_uids


def brute_force(features, groups, tolerance):
    originals = []
    for index, row in enumerate(features):
        found = -1
        for earlier in range(index):
            near = np.sqrt(((features[earlier] - row) ** 2).sum()) <= tolerance
            if originals[earlier] < 0 and groups[earlier] == groups[index] and near:
                found = earlier
                break
        originals.append(found)
    return originals


def test_uids():
    assert repeated_uids(['a', 'b', 'a', 'c', 'b']).tolist() == [False, False, True, False, True]
    assert repeated_uids(['a', 'b'], known={'b'}).tolist() == [False, True]
    assert repeated_uids([]).tolist() == []


def test_known_is_left_alone():
    known = {'a'}
    repeated_uids(['b'], known)
    assert known == {'a'}


def test_exact_and_near():
    features = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.05]])
    assert duplicate_of(features, ['x'] * 4, 0.0).tolist() == [-1, -1, 0, -1]
    assert duplicate_of(features, ['x'] * 4, 0.1).tolist() == [-1, -1, 0, 1]


def test_other_groups_are_not_compared():
    assert duplicate_of(np.zeros((4, 3)), ['x', 'y', 'x', 'y'], 1.0).tolist() == [-1, -1, 0, 1]


def test_steps_do_not_chain():
    features = np.arange(5.0)[:, None]
    assert duplicate_of(features, ['x'] * 5, 1.0).tolist() == [-1, 0, -1, 2, -1]


def test_empty():
    assert duplicate_of(np.zeros((0, 3)), [], 0.1).shape == (0,)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), tolerance=st.floats(0.0, 1.5))
def test_agrees_with_brute_force(seed, n, tolerance):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 4, size=(n, 2)).astype(float) + rng.choice([0.0, 0.1], size=(n, 2))
    groups = rng.choice(['x', 'y'], size=n).tolist()
    assert duplicate_of(features, groups, tolerance).tolist() == brute_force(features, groups, tolerance)


def test_translation_and_rotation_of_the_features():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    expected = duplicate_of(features, ['x'] * 50, 0.7)
    np.testing.assert_array_equal(duplicate_of(features @ turn + 2.0, ['x'] * 50, 0.7), expected)
    assert (expected >= 0).any()


@pytest.mark.parametrize(
    ('features', 'groups', 'tolerance', 'text'),
    [
        (np.zeros((2, 1)), ['x'], 0.1, 'do not fit 1 groups'),
        (np.zeros(2), ['x', 'x'], 0.1, 'shape'),
        (np.zeros((2, 1)), ['x', 'x'], -0.1, 'at least 0, got -0.1'),
        (np.array([[0.0], [np.nan]]), ['x', 'x'], 0.1, 'frame 1 are not finite'),
    ],
)
def test_refusals(features, groups, tolerance, text):
    with pytest.raises(InputError, match=text):
        duplicate_of(features, groups, tolerance)
