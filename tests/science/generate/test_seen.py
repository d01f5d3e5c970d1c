"""Structures seen before: every equivalent is found, nothing else, and little of each is held."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.environment import reach_of
from aiida_mlip_autopipe.science.generate.equivalence import equivalent
from aiida_mlip_autopipe.science.generate.lattice import lattice_of
from aiida_mlip_autopipe.science.generate.neighbours import NeighbourSearch
from aiida_mlip_autopipe.science.generate.seen import IN_MEMORY, SeenStructures, Spool
from tests.science.generate.crystals import DISPLACEMENTS, disguised, disturbed, random_crystal, strained

TOLERANCE = 0.002
UIDS = ['0123456789abcdef', 'fedcba9876543210']
SEEDS = st.integers(0, 100_000)
TOLERANCES = st.sampled_from([1e-4, 0.002, 0.01, 0.05])


def rattled(parent: Atoms, count: int, width: float = 0.1) -> list[Atoms]:
    rng = np.random.default_rng(0)
    found = [parent.copy() for _ in range(count)]
    for atoms in found:
        atoms.positions += rng.normal(scale=width, size=atoms.positions.shape)
    return found


def alloy(repeat: int = 4) -> Atoms:
    atoms = bulk('Al', a=4.16).repeat(repeat)
    atoms.numbers[np.random.default_rng(0).permutation(len(atoms))[: len(atoms) // 4]] = 12
    return atoms


def uid(number: int) -> str:
    return f'{number:016x}'


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(sorted(DISPLACEMENTS)), tolerance=TOLERANCES)
def test_all_within_the_tolerance_are_found(seed: int, kind: str, tolerance: float) -> None:
    atoms = random_crystal(seed)
    moved = disturbed(atoms, kind, 0.999 * tolerance, seed)
    moved = strained(moved, 0.95 * tolerance / lattice_of(atoms.cell.array).longest, seed)
    seen = SeenStructures(tolerance)
    assert seen.find_or_add(atoms, UIDS[0]) is None
    assert seen.find_or_add(disguised(moved, seed + 1), UIDS[1]) == UIDS[0]


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, tolerance=TOLERANCES)
def test_what_is_beyond_is_new(seed: int, tolerance: float) -> None:
    atoms = random_crystal(seed)
    other = atoms.copy()
    other.positions[-1, 1] += 3.0 * tolerance
    seen = SeenStructures(tolerance)
    assert seen.find_or_add(atoms, UIDS[0]) is None
    assert seen.find_or_add(disguised(other, seed), UIDS[1]) is None
    assert seen.find_or_add(disguised(other, seed + 1), UIDS[0]) == UIDS[1]


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, tolerance=TOLERANCES)
def test_the_same_as_by_comparing_all(seed: int, tolerance: float) -> None:
    """Small cells with small rattles, near the tolerance: the index changes nothing but the time."""
    rng = np.random.default_rng(seed)
    parent = bulk('Al', a=4.05).repeat((2, 2, 1))
    parent.numbers[0] = 12
    seen, kept = SeenStructures(tolerance), []
    for number in range(30):
        atoms = parent.copy()
        atoms.positions += rng.normal(scale=tolerance, size=(4, 3))
        twin = next((name for name, other in kept if equivalent(other, atoms, tolerance)), None)
        found = seen.find_or_add(disguised(atoms, seed + number), uid(number))
        assert (found is None) == (twin is None)
        if twin is None:
            kept.append((uid(number), atoms))


def test_known_neighbours_serve_as_well() -> None:
    parent, search = alloy(3), NeighbourSearch()
    seen = SeenStructures(TOLERANCE)
    for number, atoms in enumerate(rattled(parent, 20)):
        assert seen.find_or_add(atoms, uid(number), search.of(atoms, reach_of(atoms), parent)) is None
        assert seen.find_or_add(disguised(atoms, number), UIDS[1]) == uid(number)


@pytest.mark.parametrize(('tolerance', 'most'), [(0.002, 0), (0.01, 20)])
def test_few_are_compared(tolerance: float, most: int) -> None:
    """Rattled by ten or fifty times the tolerance: pairs whose fingerprints are alike are rare, of two million."""
    parent, search = alloy(), NeighbourSearch()
    seen = SeenStructures(tolerance)
    for number, atoms in enumerate(rattled(parent, 2000)):
        assert seen.find_or_add(atoms, uid(number), search.of(atoms, reach_of(atoms), parent)) is None
    assert seen.n_compared <= most


def test_all_sites_of_one_impurity_are_alike() -> None:
    seen = SeenStructures(TOLERANCE)
    found = []
    for site in range(8):
        atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
        atoms.numbers[site] = 12
        found.append(seen.find_or_add(atoms, uid(site)))
    assert found == [None] + [uid(0)] * 7


@pytest.mark.parametrize('repeat', [2, 4])
def test_what_is_held_does_not_depend_on_the_number_of_atoms(repeat: int) -> None:
    """Bytes for each structure, once those that are held in memory before the file is opened are more than that."""
    parent, search, rng = alloy(repeat), NeighbourSearch(), np.random.default_rng(0)
    seen, held = SeenStructures(TOLERANCE), []
    first = IN_MEMORY // (25 * len(parent)) + 100
    tracemalloc.start()
    for number in range(first + 2001):
        atoms = parent.copy()
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
        assert seen.find_or_add(atoms, uid(number), search.of(atoms, reach_of(atoms), parent)) is None
        if number in (first, first + 2000):
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert (held[1] - held[0]) / 2000 < 200


def test_structures_on_disk() -> None:
    spool, structures = Spool(), rattled(alloy(), 5)
    places = [spool.append(atoms) for atoms in structures]
    big = rattled(alloy(40), 1)[0]  # beyond what is held in memory
    structures.append(big)
    places.append(spool.append(big))
    for place, atoms in list(zip(places, structures, strict=True))[::-1]:
        assert spool.read(place, len(atoms)) == atoms


def test_negative_tolerance() -> None:
    with pytest.raises(InputError, match='at least 0 Å, got -1'):
        SeenStructures(-1.0)
