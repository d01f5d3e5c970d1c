"""Environments: what rigid motions leave alone, and the bounds of what displacements change."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.generate.environment import (
    LONGEST,
    NEAREST,
    RANGE,
    TAG,
    change,
    environments,
    fingerprint,
    reach_of,
    reduced_cell,
)
from aiida_mlip_autopipe.science.generate.neighbours import neighbours
from tests.science.generate.crystals import DISPLACEMENTS, disguised, disturbed, longest, random_crystal, strained

SEEDS = st.integers(0, 100_000)


def seen_in(atoms: Atoms) -> FloatArray:
    reach = reach_of(atoms)
    return environments(atoms.numbers, neighbours(atoms, reach), reach)


def fingerprint_of(atoms: Atoms) -> FloatArray:
    return fingerprint(seen_in(atoms), atoms.numbers)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_disguises_change_nothing(seed: int) -> None:
    atoms = random_crystal(seed)
    other = disguised(atoms, seed)
    assert reach_of(other) == pytest.approx(reach_of(atoms), abs=1e-9)
    one, two = (np.array(sorted(seen_in(a).tolist())) for a in (atoms, other))
    np.testing.assert_allclose(np.sort(one, axis=0), np.sort(two, axis=0), atol=1e-8)
    np.testing.assert_allclose(fingerprint_of(other), fingerprint_of(atoms), atol=1e-8)


@settings(max_examples=300, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(sorted(DISPLACEMENTS)), size=st.sampled_from([1e-4, 0.002, 0.02, 0.1, 0.3]))
def test_the_bound_holds(seed: int, kind: str, size: float) -> None:
    """Also for large displacements, where first-order reasoning would fail."""
    atoms = random_crystal(seed)
    other = strained(disturbed(atoms, kind, size, seed), size / longest(atoms), seed)
    bound = change(size, longest(atoms), reach_of(atoms))
    assert np.abs(seen_in(other) - seen_in(atoms)).max() <= bound * (1 + 1e-9)
    assert np.abs(fingerprint_of(other) - fingerprint_of(atoms)).max() <= bound * (1 + 1e-9)


def test_the_bound_is_reached() -> None:
    """Two atoms that move towards each other: the bound could not be smaller by more than the strain's share."""
    atoms = Atoms('Al2', positions=[[0, 0, 0], [2.5, 0, 0]], cell=[6, 6.5, 7], pbc=True)
    other = atoms.copy()
    other.positions[:, 0] += [0.01, -0.01]
    assert np.abs(seen_in(other) - seen_in(atoms)).max() == pytest.approx(0.02, abs=1e-9)
    assert 0.02 <= change(0.01, 7.0, reach_of(atoms)) < 0.028


def test_known_environment() -> None:
    atoms = bulk('Al', a=4.0, cubic=True)
    atoms.numbers[0] = 12  # the first of two elements: without a tag
    near, reach = 8.0**0.5, RANGE * 16 ** (1 / 3)
    seen = seen_in(atoms)
    np.testing.assert_allclose(seen[0], np.minimum(near + TAG, reach))
    np.testing.assert_allclose(seen[1], [near] * 4 + [min(near + TAG, reach)] * 8)


def test_few_neighbours_are_filled_up() -> None:
    alone = Atoms('Al', cell=[20, 20, 20], pbc=True)
    assert seen_in(alone).tolist() == [[LONGEST] * NEAREST]


def test_alloys_on_one_lattice_differ() -> None:
    """A swap changes how many atoms have so many neighbours of an element."""
    atoms = bulk('Al', a=4.05).repeat((4, 4, 4))
    atoms.numbers[:16] = 12
    other = atoms.copy()
    other.numbers[[0, 40]] = other.numbers[[40, 0]]
    assert np.abs(fingerprint_of(atoms) - fingerprint_of(other)).max() > change(0.002, 11.0, reach_of(atoms))


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_other_cells_of_a_lattice(seed: int) -> None:
    atoms = random_crystal(seed)
    one, other = reduced_cell(atoms), reduced_cell(disguised(atoms, seed))
    np.testing.assert_allclose(np.sort(np.linalg.norm(other, axis=1)), np.sort(np.linalg.norm(one, axis=1)))
    assert abs(np.linalg.det(other)) == pytest.approx(atoms.cell.volume)
    steps = np.linalg.solve(atoms.cell.array.T, one.T)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-8)
    assert abs(np.linalg.det(steps)) == pytest.approx(1.0)


def test_skewed_square() -> None:
    skewed = Atoms('Al', cell=[[2.0, 0, 0], [2.0, 3.0, 0], [4.0, 3.0, 5.0]], pbc=True)
    assert longest(skewed) == pytest.approx(5.0)
    with pytest.raises(ValueError, match='read-only'):
        reduced_cell(skewed)[0, 0] = 1.0
