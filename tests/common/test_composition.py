"""Whole numbers of atoms from fractions, and the proposal made when they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.composition import check_composition, nearest_composition, whole_counts
from aiida_mlip_autopipe.common.errors import InputError

ELEMENTS = ['Al', 'Mg', 'Si', 'Cu']


@pytest.mark.parametrize(
    ('composition', 'n_sites', 'expected'),
    [
        ({'Al': 1.0}, 7, {'Al': 7}),
        ({'Al': 0.5, 'Mg': 0.5}, 8, {'Al': 4, 'Mg': 4}),
        ({'Al': 0.75, 'Mg': 0.125, 'Si': 0.125}, 16, {'Al': 12, 'Mg': 2, 'Si': 2}),
        ({'Al': 1.0, 'Mg': 0.0}, 4, {'Al': 4}),
        ({'Al': 0.333333, 'Mg': 0.333333, 'Si': 0.333333}, 3, {'Al': 1, 'Mg': 1, 'Si': 1}),
        ({'Al': 0.1 + 0.2, 'Mg': 0.7}, 10, {'Al': 3, 'Mg': 7}),
    ],
)
def test_known_counts(composition, n_sites, expected):
    assert whole_counts(composition, n_sites) == expected


def test_misfit_names_composition_sites_and_proposal():
    with pytest.raises(InputError) as caught:
        whole_counts({'Al': 0.9, 'Mg': 0.1}, 8)
    text = str(caught.value)
    assert "{'Al': 0.9, 'Mg': 0.1}" in text
    assert '8 sites' in text
    assert "{'Al': 0.875, 'Mg': 0.125}" in text


def test_just_beyond_the_tolerance():
    assert whole_counts({'Al': 0.5000009, 'Mg': 0.4999991}, 2) == {'Al': 1, 'Mg': 1}
    with pytest.raises(InputError, match='whole numbers'):
        whole_counts({'Al': 0.500002, 'Mg': 0.499998}, 2)


def test_dilute_element_keeps_an_atom_in_the_proposal():
    assert nearest_composition({'Al': 0.99, 'Mg': 0.01}, 8) == {'Al': 0.875, 'Mg': 0.125}


def test_too_few_sites_for_all_elements():
    assert nearest_composition({'Al': 0.5, 'Mg': 0.3, 'Si': 0.2}, 2) == {'Al': 0.5, 'Mg': 0.5}


def test_fitting_composition_is_its_own_nearest():
    assert nearest_composition({'Al': 0.25, 'Mg': 0.75}, 32) == {'Al': 0.25, 'Mg': 0.75}


@pytest.mark.parametrize(
    ('composition', 'text'),
    [
        ({}, 'at least one element'),
        ({'Qq': 1.0}, "'Qq' is not the symbol"),
        ({'X': 1.0}, "'X' is not the symbol"),
        ({'Al': 1.5, 'Mg': -0.5}, 'fraction of Al must lie in 0..1, got 1.5'),
        ({'Al': float('nan')}, 'got nan'),
        ({'Al': 0.5, 'Mg': 0.4}, 'add up to 1, got 0.9'),
    ],
)
def test_what_is_no_composition(composition, text):
    with pytest.raises(InputError, match=text):
        check_composition(composition)
    with pytest.raises(InputError, match=text):
        whole_counts(composition, 4)
    with pytest.raises(InputError, match=text):
        nearest_composition(composition, 4)


def test_no_sites():
    with pytest.raises(InputError, match='at least 1, got 0'):
        whole_counts({'Al': 1.0}, 0)


@settings(max_examples=60, deadline=None)
@given(weights=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=4), n_sites=st.integers(4, 64))
def test_proposal_always_fits_and_is_near(weights, n_sites):
    fractions = np.array(weights) / np.sum(weights)
    composition = dict(zip(ELEMENTS, fractions.tolist(), strict=False))
    proposal = nearest_composition(composition, n_sites)
    counts = whole_counts(proposal, n_sites)
    assert sum(counts.values()) == n_sites
    assert set(counts) == set(composition)
    dilute = min(fractions) * n_sites < 1.0
    for element, fraction in composition.items():
        assert dilute or abs(counts[element] - fraction * n_sites) < 1.0 + 1e-9


def test_input_is_left_alone():
    composition = {'Al': 0.9, 'Mg': 0.1, 'Si': 0.0}
    nearest_composition(composition, 10)
    whole_counts(composition, 10)
    assert composition == {'Al': 0.9, 'Mg': 0.1, 'Si': 0.0}
