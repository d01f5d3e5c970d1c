"""Equivalent structures: moved, rotated, mirrored and permuted ones are found, others are not."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.equivalence import SeenStructures, equivalent, invariants

TOLERANCE = 0.002


def alloy(seed: int, rattle: float = 0.05) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
    atoms.numbers[:] = rng.permutation([12] * 3 + [13] * 5)
    atoms.positions += rng.normal(scale=rattle, size=(8, 3))
    return atoms


def moved(atoms: Atoms, seed: int) -> Atoms:
    """Return the crystal permuted, shifted, rotated or mirrored, and in another cell."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(atoms))
    turn = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1.0, 1.0])
    cell = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ atoms.cell.array
    positions = atoms.positions[order] + rng.normal(size=3) + rng.integers(-2, 3, size=(len(atoms), 3)) @ atoms.cell.array
    return Atoms(numbers=atoms.numbers[order], positions=positions @ turn, cell=cell @ turn, pbc=True)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_moved_crystal_is_the_same(seed: int) -> None:
    atoms = alloy(seed)
    other = moved(atoms, seed + 1)
    np.testing.assert_allclose(invariants(other), invariants(atoms), atol=1e-9)
    assert equivalent(atoms, other, TOLERANCE)
    seen = SeenStructures(TOLERANCE)
    assert seen.find_or_add(atoms, 'first') is None
    assert seen.find_or_add(other, 'second') == 'first'


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_another_rattle_is_another_structure(seed: int) -> None:
    seen = SeenStructures(TOLERANCE)
    assert seen.find_or_add(alloy(seed), 'first') is None
    assert seen.find_or_add(alloy(seed + 1), 'second') is None


def test_displacements_within_the_tolerance_do_not_count() -> None:
    atoms = alloy(0)
    near, far = atoms.copy(), atoms.copy()
    near.positions[0, 0] += 0.5 * TOLERANCE
    far.positions[0, 0] += 10 * TOLERANCE
    assert equivalent(atoms, near, TOLERANCE)
    assert not equivalent(atoms, far, TOLERANCE)


def test_same_pairs_but_other_order_is_found_out() -> None:
    first, second = alloy(0, rattle=0.0), alloy(0, rattle=0.0)
    first.numbers[:] = [12, 12, 12, 12, 13, 13, 13, 13]
    second.numbers[:] = [12, 12, 12, 13, 12, 13, 13, 13]
    assert not equivalent(first, second, TOLERANCE)


def test_all_sites_of_one_impurity_are_alike() -> None:
    seen = SeenStructures(TOLERANCE)
    found = []
    for site in range(8):
        atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
        atoms.numbers[site] = 12
        found.append(seen.find_or_add(atoms, str(site)))
    assert found == [None] + ['0'] * 7


def test_negative_tolerance() -> None:
    with pytest.raises(InputError, match='at least 0 Å, got -1'):
        SeenStructures(-1.0)
