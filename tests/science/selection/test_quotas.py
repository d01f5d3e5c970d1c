"""Quotas: exact where the pool allows, and what happens where it does not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.science.selection.quotas import Quotas, allocate, whole_numbers

CELLS = [('md', 'Al')] * 30 + [('md', 'AlMg')] * 40 + [('sqs', 'Al')] * 5 + [('sqs', 'AlMg')] * 25


def sums(found, axis):
    totals = Counter()
    for cell, number in found.items():
        totals[cell[axis]] += number
    return dict(totals)


@pytest.mark.parametrize(
    ('shares', 'budget', 'expected'),
    [
        ({'a': 0.5, 'b': 0.5}, 3, {'a': 2, 'b': 1}),
        ({'a': 1 / 3, 'b': 1 / 3, 'c': 1 / 3}, 10, {'a': 4, 'b': 3, 'c': 3}),
        ({'a': 0.1}, 30, {'a': 3}),
        ({'a': 0.25}, 10, {'a': 2}),
        ({'a': 0.0, 'b': 1.0}, 7, {'a': 0, 'b': 7}),
        ({}, 7, {}),
    ],
)
def test_whole_numbers(shares, budget, expected):
    assert whole_numbers(shares, budget) == expected


def test_both_margins_are_met():
    found = allocate(CELLS, Quotas({'md': 0.7, 'sqs': 0.3}, {'Al': 0.5, 'AlMg': 0.5}), 20)
    assert sums(found, 0) == {'md': 14, 'sqs': 6}
    assert sums(found, 1) == {'Al': 10, 'AlMg': 10}


def test_what_has_no_share_gets_the_rest_in_proportion():
    found = allocate(CELLS, Quotas({'sqs': 0.2}, {}), 20)
    assert sums(found, 0) == {'sqs': 4, 'md': 16}
    assert 6 <= found['md', 'Al'] <= 8


def test_a_short_pool_gives_what_it_has_and_the_rest_goes_elsewhere():
    found = allocate(CELLS, Quotas({'sqs': 0.9}, {}), 50)
    assert sums(found, 0) == {'sqs': 30, 'md': 20}
    assert sums(allocate(CELLS, Quotas({'vacancy': 0.5}, {}), 10), 0).get('vacancy') is None
    assert sum(allocate(CELLS, Quotas({'sqs': 0.5}, {}), 1000).values()) == len(CELLS)
    assert allocate([], Quotas({'sqs': 0.5}, {}), 10) == {}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), budget=st.integers(1, 60))
def test_a_feasible_quota_is_met_exactly(seed, budget):
    rng = np.random.default_rng(seed)
    cells = [(str(a), str(b)) for a, b in zip(rng.choice(list('xyz'), 200), rng.choice(list('pq'), 200), strict=True)]
    share = dict(zip('xyz', rng.dirichlet(np.ones(3)).tolist(), strict=True))
    found = allocate(cells, Quotas(share, {'p': 0.5}), budget)
    available = Counter(cells)
    assert sum(found.values()) == budget
    assert all(number <= available[cell] for cell, number in found.items())
    wanted = whole_numbers(share, budget)
    if all(number <= sum(cell[0] == name for cell in cells) for name, number in wanted.items()):
        assert {name: sums(found, 0).get(name, 0) for name in share} == wanted
    assert sums(found, 1).get('p', 0) == whole_numbers({'p': 0.5}, budget)['p']


def test_what_comes_first_counts_towards_the_quotas():
    """Eight crystals where three were asked for: all eight are taken, and the rest goes to the others."""
    found = allocate(CELLS, Quotas({'sqs': 0.15}, {}), 20, {('sqs', 'Al'): 5, ('sqs', 'AlMg'): 3})
    assert (found['sqs', 'Al'], found['sqs', 'AlMg']) == (5, 3)
    assert sums(found, 0) == {'sqs': 8, 'md': 12}


def test_a_quota_above_what_comes_first_is_met():
    found = allocate(CELLS, Quotas({'sqs': 0.5}, {}), 20, {('sqs', 'AlMg'): 3})
    assert sums(found, 0) == {'sqs': 10, 'md': 10}
    assert found['sqs', 'AlMg'] >= 3
