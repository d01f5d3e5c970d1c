"""Ranges in place of lists: which values they have, and what is no range."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.ranges import compositions_of, numbers_of, supercells_of
from tests.config.settings import config_with, mistakes_in

QUARTERS = {'start': 0, 'stop': 1, 'step': 0.25}


def test_the_end_is_included_and_thirds_of_a_tenth_are_exact() -> None:
    assert numbers_of({'start': -0.1, 'stop': 0.3, 'step': 0.1}) == [-0.1, 0.0, 0.1, 0.2, 0.3]
    assert numbers_of({'start': 0.5, 'stop': 0.0, 'step': -0.25}) == [0.5, 0.25, 0.0]
    assert numbers_of({'start': 0, 'stop': 0.99, 'step': 0.5}) == [0, 0.5]
    assert numbers_of([1, 2]) == [1, 2]


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_binary_range_reaches_both_ends(cells: int, step: int) -> None:
    found = compositions_of({'Mg': {'start': 0, 'stop': 1, 'step': step / (cells * step)}, 'Al': 'rest'})
    assert len(found) == cells + 1
    assert (found[0], found[-1]) == ({'Al': 1.0}, {'Mg': 1.0})
    assert all(sum(fractions.values()) == pytest.approx(1, abs=1e-9) for fractions in found)


def test_a_ternary_range_leaves_out_what_is_more_than_all() -> None:
    found = compositions_of({'Nb': QUARTERS, 'Mo': QUARTERS, 'W': 'rest'})
    assert len(found) == 15  # points of a triangle with five on each side
    assert {'Nb': 0.25, 'Mo': 0.25, 'W': 0.5} in found


def test_supercells() -> None:
    assert supercells_of({'start': 2, 'stop': 4}) == [[2, 2, 2], [3, 3, 3], [4, 4, 4]]
    assert supercells_of({'start': [1, 1, 2], 'stop': [1, 1, 6], 'step': [0, 0, 2]}) == [[1, 1, 2], [1, 1, 4], [1, 1, 6]]


def test_a_configuration_with_ranges() -> None:
    system = config_with(
        {
            'system.compositions': [{'Cu': 1.0}, {'Cu': QUARTERS, 'Au': 'rest'}],
            'system.supercells': [[2, 2, 1], {'start': 2, 'stop': 4, 'step': 2}],
            'generate.eos': {},
            'generate.deform': {'shear': {'start': -0.02, 'stop': 0.02, 'step': 0.02}},
        }
    )
    assert [part.get('Cu', 0.0) for part in system.system.compositions] == [1.0, 0.0, 0.25, 0.5, 0.75]
    assert system.system.supercells == [(2, 2, 1), (2, 2, 2), (4, 4, 4)]
    assert system.generate.deform is not None
    assert system.generate.deform.shear == (-0.02, 0.0, 0.02)
    assert config_with({'system': system.to_mapping()['system']}).system == system.system  # what a node holds says the same


def test_the_misfit_of_a_member_is_told() -> None:
    (line,) = mistakes_in({'system.compositions': [{'Cu': {'start': 0, 'stop': 1, 'step': 0.1}, 'Au': 'rest'}]})
    assert "composition {'Cu': 0.1, 'Au': 0.9} does not give whole numbers of atoms on 8 sites; the nearest" in line


@pytest.mark.parametrize(
    ('place', 'value', 'said'),
    [
        ('system.compositions', [{'Cu': QUARTERS}], "needs one element with the fraction 'rest'"),
        ('system.compositions', [{'Cu': 'rest', 'Au': 'rest'}], "needs one element with the fraction 'rest'"),
        ('system.compositions', [{'Cu': {'start': 0, 'stop': 1}, 'Au': 'rest'}], 'numbers under the keys start, stop, step'),
        ('system.compositions', [{'Cu': {**QUARTERS, 'step': 0}, 'Au': 'rest'}], 'step must lead from start to stop'),
        ('system.compositions', [{'Cu': {**QUARTERS, 'step': -1}, 'Au': 'rest'}], 'step must lead from start to stop'),
        ('system.supercells', [{'start': 4, 'stop': 2}], 'start must not be larger than stop'),
        ('system.supercells', [{'start': 2, 'stop': 4, 'step': 0}], 'of which one is above 0'),
        ('system.supercells', [{'start': 2.5, 'stop': 4}], 'one whole number or three'),
        ('generate.deform', {'shear': {'start': 0, 'stop': 1, 'step': 1e-9}}, 'in fewer than 1000 steps'),
    ],
)
def test_no_range(place: str, value: Any, said: str) -> None:
    (line,) = mistakes_in({place: value})
    assert place in line
    assert said in line
