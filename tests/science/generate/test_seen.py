"""Structures seen before: every equivalent is found, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.environment import change, reach_of
from aiida_mlip_autopipe.science.generate.neighbours import neighbours
from aiida_mlip_autopipe.science.generate.seen import BOX, SeenStructures
from tests.science.generate.crystals import DISPLACEMENTS, disguised, disturbed, equivalent, longest, random_crystal, strained

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
    moved = strained(moved, 0.95 * tolerance / longest(atoms), seed)
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
        found = seen.find_or_add(atoms, uid(number))
        assert (found is None) == (twin is None)
        if twin is None:
            kept.append((uid(number), atoms))


def test_known_neighbours_serve_as_well() -> None:
    parent = alloy(3)
    seen = SeenStructures(TOLERANCE)
    for number, atoms in enumerate(rattled(parent, 20)):
        assert seen.find_or_add(atoms, uid(number), neighbours(atoms, reach_of(atoms), parent)) is None
        assert seen.find_or_add(disguised(atoms, number), UIDS[1]) == uid(number)


@pytest.mark.parametrize(('tolerance', 'most'), [(0.002, 0), (0.01, 20)])
def test_few_are_compared(tolerance: float, most: int) -> None:
    """Rattled by ten or fifty times the tolerance: pairs whose fingerprints are alike are rare, of two million."""
    parent = alloy()
    seen = SeenStructures(tolerance)
    for number, atoms in enumerate(rattled(parent, 2000)):
        assert seen.find_or_add(atoms, uid(number), neighbours(atoms, reach_of(atoms), parent)) is None
    assert seen.n_compared <= most


@pytest.mark.parametrize('atoms', [bulk('Al'), bulk('W'), bulk('Mg'), bulk('Po', 'sc', a=3.35), bulk('Si')], ids=str)
@pytest.mark.parametrize('tolerance', [1e-4, 0.05, 0.3])
def test_no_bound_is_wider_than_a_box(atoms: Atoms, tolerance: float) -> None:
    """In the smallest cells a strain of t / l is the largest."""
    assert change(tolerance, longest(atoms), reach_of(atoms)) <= BOX * tolerance


def test_all_sites_of_one_impurity_are_alike() -> None:
    seen = SeenStructures(TOLERANCE)
    found = []
    for site in range(8):
        atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
        atoms.numbers[site] = 12
        found.append(seen.find_or_add(atoms, uid(site)))
    assert found == [None] + [uid(0)] * 7


def test_other_formula() -> None:
    seen = SeenStructures(TOLERANCE)
    assert seen.find_or_add(alloy(2), UIDS[0]) is None
    other = alloy(2)
    other.numbers[other.numbers == 12] = 29
    assert seen.find_or_add(other, UIDS[1]) is None


def test_what_was_seen_may_change() -> None:
    seen, atoms = SeenStructures(TOLERANCE), rattled(alloy(2), 1)[0]
    other = atoms.copy()
    assert seen.find_or_add(atoms, UIDS[0]) is None
    atoms.positions += np.random.default_rng(1).normal(size=atoms.positions.shape)
    atoms.numbers[:] = 1
    atoms.cell[:] *= 2.0
    assert seen.find_or_add(disguised(other, 0), UIDS[1]) == UIDS[0]


def test_negative_tolerance() -> None:
    with pytest.raises(InputError, match='at least 0 Å, got -1'):
        SeenStructures(-1.0)
