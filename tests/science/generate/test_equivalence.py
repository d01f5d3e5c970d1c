"""Equivalent crystals: disguised and disturbed within the tolerance they are the same, beyond it they are not."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.science.generate.crystals import DISPLACEMENTS, disguised, disturbed, equivalent, longest, random_crystal, strained

TOLERANCE = 0.002
SEEDS = st.integers(0, 100_000)
TOLERANCES = st.sampled_from([1e-4, 0.002, 0.01, 0.05])
KINDS = st.sampled_from(sorted(DISPLACEMENTS))
JUST = 0.999
"""Displacement and strain just within the tolerance, in units of it."""

many = settings(max_examples=100, deadline=None)


def alloy(seed: int, rattle: float = 0.05) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
    atoms.numbers[:] = rng.permutation([12] * 3 + [13] * 5)
    atoms.positions += rng.normal(scale=rattle, size=(8, 3))
    return atoms


@many
@given(seed=SEEDS, kind=KINDS, tolerance=TOLERANCES)
def test_displacements_within_the_tolerance(seed: int, kind: str, tolerance: float) -> None:
    atoms = random_crystal(seed)
    other = disguised(disturbed(atoms, kind, tolerance, seed), seed + 1)
    assert equivalent(atoms, other, tolerance)
    assert equivalent(other, atoms, tolerance)


@many
@given(seed=SEEDS, kind=KINDS, tolerance=TOLERANCES)
def test_with_a_strain_within_the_tolerance(seed: int, kind: str, tolerance: float) -> None:
    atoms = random_crystal(seed)
    moved = disturbed(atoms, kind, JUST * tolerance, seed)
    other = disguised(strained(moved, 0.95 * tolerance / longest(atoms), seed), seed + 1)
    assert equivalent(atoms, other, tolerance)
    far = disguised(strained(moved, 1.1 * tolerance / longest(atoms), seed), seed + 1)
    assert not equivalent(atoms, far, tolerance)


@many
@given(seed=SEEDS, tolerance=TOLERANCES)
def test_one_atom_moved_beyond_the_tolerance(seed: int, tolerance: float) -> None:
    """The others share the shift: one that is moved by more than 2 t cannot be laid on its place."""
    atoms = random_crystal(seed)
    near, far = atoms.copy(), atoms.copy()
    direction = np.random.default_rng(seed).normal(size=3)
    near.positions[0] += 2.0 * JUST * tolerance * direction / np.linalg.norm(direction)
    far.positions[0] += 3.0 * tolerance * direction / np.linalg.norm(direction)
    assert equivalent(atoms, disguised(near, seed), tolerance)
    assert not equivalent(atoms, disguised(far, seed), tolerance)


@many
@given(seed=SEEDS, tolerance=TOLERANCES)
def test_two_atoms_moved_apart_beyond_the_tolerance(seed: int, tolerance: float) -> None:
    """Each within the tolerance of its place: the same. Each by more than twice that: wherever the others are laid, not."""
    atoms = random_crystal(seed)
    direction = np.random.default_rng(seed).normal(size=3)
    direction *= tolerance / np.linalg.norm(direction)
    near, far = atoms.copy(), atoms.copy()
    for other, size in ((near, JUST), (far, 2.1)):
        other.positions[0] += size * direction
        other.positions[-1] -= size * direction
    assert equivalent(atoms, disguised(near, seed), tolerance)
    assert not equivalent(atoms, disguised(far, seed), tolerance)


@many
@given(seed=SEEDS, tolerance=TOLERANCES)
def test_swapped_elements(seed: int, tolerance: float) -> None:
    atoms = random_crystal(seed)
    first, second = (int(np.flatnonzero(atoms.numbers == number)[0]) for number in (12, 13))
    other = atoms.copy()
    other.numbers[[first, second]] = other.numbers[[second, first]]
    if len(atoms) > 3:  # three atoms of two elements may be an image of each other
        assert not equivalent(atoms, other, tolerance)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_another_rattle_is_another_structure(seed: int) -> None:
    assert not equivalent(alloy(seed), alloy(seed + 1), 0.01)


def helix(hand: float) -> Atoms:
    """Return a threefold screw of atoms with one of another element on its axis: left- or right-handed."""
    turns = hand * 2.0 * np.pi * np.arange(3) / 3.0
    places = np.stack([1.1 * np.cos(turns), 1.1 * np.sin(turns), 2.0 * np.arange(3)], axis=1)
    return Atoms('Se3Te', positions=[*places, [0.3, 0.9, 3.1]], cell=[7.0, 7.5, 6.0], pbc=True)


def test_both_hands_are_the_same() -> None:
    """A mirror leaves energies and the lengths of forces alone, so a mirror image is a repeat."""
    mirrored = helix(1.0)
    mirrored.positions[:, 1] *= -1.0
    assert equivalent(helix(1.0), disguised(mirrored, 0), TOLERANCE)
    assert not equivalent(helix(1.0), helix(-1.0), TOLERANCE)  # the Te atom is not mirrored with it


SHAPES = [((4, 1, 1), (2, 2, 1)), ((2, 1, 4), (8, 1, 1)), ((2, 2, 2), (1, 2, 4)), ((3, 2, 1), (6, 1, 1))]


@pytest.mark.parametrize('crystal', [bulk('Al'), bulk('W'), bulk('Mg'), bulk('NaCl', 'rocksalt', a=5.6), bulk('Si')], ids=str)
@pytest.mark.parametrize(('one', 'other'), SHAPES)
def test_cells_of_other_shapes(crystal: Atoms, one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    first, second = crystal.repeat(one), disguised(crystal.repeat(other), 3)
    assert equivalent(first, second, TOLERANCE)
    assert equivalent(second, first, TOLERANCE)
    shifted = disturbed(second, 'random', TOLERANCE, 1)
    assert equivalent(first, shifted, TOLERANCE)
    assert equivalent(shifted, first, TOLERANCE)
    moved = second.copy()
    moved.positions[0, 0] += 3.0 * TOLERANCE
    assert not equivalent(first, moved, TOLERANCE)
    assert not equivalent(moved, first, TOLERANCE)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, shapes=st.sampled_from(SHAPES), tolerance=st.sampled_from([0.002, 0.01]))
def test_cells_of_other_shapes_without_symmetry(
    seed: int, shapes: tuple[tuple[int, int, int], tuple[int, int, int]], tolerance: float
) -> None:
    crystal = random_crystal(seed)
    first, second = (disguised(crystal.repeat(shape), seed + number) for number, shape in enumerate(shapes))
    assert equivalent(first, second, tolerance)
    shifted = disturbed(second, 'random', tolerance, seed)
    assert equivalent(first, shifted, tolerance)
    assert equivalent(shifted, first, tolerance)
    far = second.copy()
    far.positions[0, 1] += 3.0 * tolerance
    assert not equivalent(first, far, tolerance)


def test_cells_of_other_shapes_of_another_crystal() -> None:
    fcc = bulk('Al', a=4.05).repeat((4, 1, 1))
    bcc = bulk('Al', 'bcc', a=4.05 / 2 ** (1 / 3)).repeat((2, 2, 1))
    assert not equivalent(fcc, bcc, 0.05)


def test_same_pairs_but_other_order_is_found_out() -> None:
    first, second = alloy(0, rattle=0.0), alloy(0, rattle=0.0)
    first.numbers[:] = [12, 12, 12, 12, 13, 13, 13, 13]
    second.numbers[:] = [12, 12, 12, 13, 12, 13, 13, 13]
    assert not equivalent(first, second, TOLERANCE)


@pytest.mark.parametrize('cell', [[2.0, 20.0, 20.1], [2.2, 2.2, 30.0], [3.0, 9.0, 27.0]])
def test_long_cells(cell: list[float]) -> None:
    """Where the edges differ much, vectors as long as the longest are many multiples of the shortest."""
    rng = np.random.default_rng(0)
    places = np.array([[0.1, 0.2, 0.3], [0.4, 0.1, 0.75]]) + 0.02 * rng.random((2, 3))
    atoms = Atoms('AlMg', scaled_positions=places, cell=cell, pbc=True)
    for seed in range(5):
        assert equivalent(atoms, disguised(disturbed(atoms, 'random', TOLERANCE, seed), seed), TOLERANCE)
