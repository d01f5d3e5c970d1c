"""Neighbours: all within reach, the same for a rattled copy by its parent's as by a search of its own."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.generate import neighbours as module
from aiida_mlip_autopipe.science.generate.neighbours import FAR, MAX_PARENTS, SKIN, Neighbours, neighbours
from tests.science.generate.crystals import disguised, random_crystal

REACH = 3.6


def within(found: Neighbours, reach: float) -> list[FloatArray]:
    return [np.sort(row[row < reach]) for row in found.distances]


def assert_same(one: Neighbours, other: Neighbours, reach: float) -> None:
    for first, second in zip(within(one, reach), within(other, reach), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_against_ase(seed: int) -> None:
    atoms = disguised(random_crystal(seed), seed)  # atoms far outside of the cell, and another cell
    found = neighbours(atoms, REACH)
    first, second, distances = neighbor_list('ijd', atoms, REACH)
    for index in range(len(atoms)):
        near = found.distances[index] < FAR / 2
        np.testing.assert_allclose(np.sort(found.distances[index][near]), np.sort(distances[first == index]), atol=1e-9)
        assert sorted(found.others[index][near]) == sorted(second[first == index])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), width=st.floats(0.0, 0.4))
def test_of_copies_of_a_parent(seed: int, width: float) -> None:
    """Whether the displacements are within the skin or beyond it."""
    parent, rng = random_crystal(seed), np.random.default_rng(seed)
    for _ in range(3):
        child = parent.copy()
        child.positions += rng.normal(scale=width, size=child.positions.shape)
        assert_same(neighbours(child, REACH, parent), neighbours(child, REACH), REACH)


def test_two_atoms_come_nearer_by_just_the_skin() -> None:
    """The worst case: a pair beyond the reach of the parent by almost the skin, its atoms moving towards each other."""
    parent = Atoms('Al2', positions=[[0, 0, 0], [REACH + SKIN - 1e-6, 0, 0]], cell=[20, 20, 20], pbc=True)
    child = parent.copy()
    child.positions[0, 0] += SKIN / 2
    child.positions[1, 0] -= SKIN / 2
    assert neighbours(child, REACH, parent).distances.min() == pytest.approx(REACH - 1e-6, abs=1e-9)


def test_a_parent_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    search_for = module._search
    monkeypatch.setattr(module, '_search', lambda *given: searched.append(given[-1]) or search_for(*given))
    module._of_parent.cache_clear()
    parent = bulk('Al').repeat((2, 2, 2))
    for _ in range(20):
        neighbours(parent.copy(), REACH, parent)
    assert searched == [REACH + SKIN]
    neighbours(parent.copy(), REACH + 0.5, parent)  # farther than what is known
    assert searched[1:] == [REACH + SKIN + 0.5]


def test_other_cells_and_numbers_of_atoms_are_searched_on_their_own() -> None:
    parent = bulk('Al', a=4.05).repeat((2, 2, 2))
    strained = parent.copy()
    strained.set_cell(1.1 * parent.cell.array, scale_atoms=True)
    vacancy = parent[1:]
    for child in (strained, vacancy):
        assert_same(neighbours(child, REACH, parent), neighbours(child, REACH), REACH)


def test_few_parents_are_held() -> None:
    for number in range(MAX_PARENTS + 50):
        parent = bulk('Al', a=4.0 + 1e-3 * number).repeat((1, 1, 2))
        neighbours(parent.copy(), REACH, parent)
    assert module._of_parent.cache_info().currsize == MAX_PARENTS


def test_no_neighbours_at_all() -> None:
    alone = Atoms('Al', cell=[20, 20, 20], pbc=True)
    assert neighbours(alone, REACH).distances.tolist() == [[FAR]]
