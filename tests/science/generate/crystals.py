"""Random crystals, and ways to disguise and to disturb them, for tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.generate.environment import reduced_cell
from aiida_mlip_autopipe.science.generate.equivalence import Crystal, same_crystal
from aiida_mlip_autopipe.science.generate.neighbours import FAR, neighbours

CLOSEST = 1.3
"""Å, shortest distance in a random crystal."""

STEPS = np.array(list(itertools.product((-1, 0, 1), repeat=3)))


def random_crystal(seed: int) -> Atoms:
    """Return a crystal of 3 to 9 atoms of two or three elements without any symmetry."""
    rng = np.random.default_rng(seed)
    while True:
        cell = rng.uniform(2.5, 7.0) * np.eye(3) + rng.uniform(-1.5, 1.5, size=(3, 3))
        numbers = rng.permutation([13, 12, *rng.choice([12, 13, 29], size=int(rng.integers(1, 8)))])
        volume = abs(np.linalg.det(cell)) / len(numbers)
        if not 6.0 < volume < 60.0 or not well_shaped(cell):
            continue
        atoms = Atoms(numbers=numbers, cell=cell, scaled_positions=rng.random((len(numbers), 3)), pbc=True)
        for _ in range(200):
            near = neighbours(atoms, CLOSEST).distances.min(axis=1)
            if near.min() >= CLOSEST:
                return atoms
            bad = near < CLOSEST
            atoms.positions[bad] = rng.random((int(bad.sum()), 3)) @ cell


def longest(atoms: Atoms) -> float:
    """Return the length of the longest vector of the reduced cell, Å."""
    return float(np.linalg.norm(reduced_cell(atoms), axis=1).max())


def equivalent(first: Atoms, second: Atoms, tolerance: float) -> bool:
    """Return whether two crystals are the same, whatever their formulas."""
    if sorted(first.numbers) != sorted(second.numbers):
        return False
    return same_crystal(Crystal.of(first), Crystal.of(second), tolerance)


def well_shaped(cell: FloatArray) -> bool:
    return bool(np.abs(np.linalg.det(cell / np.linalg.norm(cell, axis=1)[:, None])) > 0.3 and abs(np.linalg.det(cell)) > 20)


def disguised(atoms: Atoms, seed: int) -> Atoms:
    """Return the crystal permuted, shifted by any vector and atoms by lattice vectors, turned or mirrored, in another cell."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(atoms))
    turn = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1.0, 1.0])
    cell = unimodular(rng) @ atoms.cell.array
    lattice_vectors = rng.integers(-2, 3, size=(len(atoms), 3)) @ atoms.cell.array
    positions = atoms.positions[order] + 3.0 * rng.normal(size=3) + lattice_vectors
    return Atoms(numbers=atoms.numbers[order], positions=positions @ turn, cell=cell @ turn, pbc=True)


def unimodular(rng: np.random.Generator) -> FloatArray:
    """Return whole numbers with the determinant 1 or -1."""
    found = np.eye(3)[rng.permutation(3)]
    for _ in range(3):
        row, other = rng.permutation(3)[:2]
        found[row] += rng.choice([-1, 1]) * found[other]
    return found


def _random(atoms: Atoms, rng: np.random.Generator) -> FloatArray:
    found = rng.normal(size=(len(atoms), 3))
    return found / np.linalg.norm(found, axis=1)[:, None]


def _inside(atoms: Atoms, rng: np.random.Generator) -> FloatArray:
    return _random(atoms, rng) * rng.random((len(atoms), 1))


def _breathing(atoms: Atoms, rng: np.random.Generator) -> FloatArray:
    found = atoms.positions - atoms.positions.mean(axis=0) + 1e-9
    return found / np.linalg.norm(found, axis=1)[:, None]


def _apart(atoms: Atoms, rng: np.random.Generator) -> FloatArray:
    """One half one way, the other half the other way."""
    return np.where(rng.permutation(len(atoms))[:, None] % 2, 1.0, -1.0) * _random(atoms, rng)[0]


def _all_towards_one(atoms: Atoms, rng: np.random.Generator) -> FloatArray:
    """Every atom towards the nearest image of the first, the first along its shortest bond: changes of 2 t."""
    vectors = (STEPS @ atoms.cell.array)[:, None, :] + atoms.positions[0] - atoms.positions[None, :, :]
    lengths = np.linalg.norm(vectors, axis=2)
    lengths[lengths < 1e-6] = FAR
    found = vectors[lengths.argmin(axis=0), np.arange(len(atoms))] / lengths.min(axis=0)[:, None]
    found[0] = -found[1 + int(lengths.min(axis=0)[1:].argmin())]
    return found


DISPLACEMENTS: dict[str, Callable[[Atoms, np.random.Generator], FloatArray]] = {
    'random': _random,
    'inside': _inside,
    'breathing': _breathing,
    'apart': _apart,
    'all_towards_one': _all_towards_one,
}
"""Directions of length 1 at most, shape (n_atoms, 3)."""


def disturbed(atoms: Atoms, kind: str, size: float, seed: int) -> Atoms:
    """Return the crystal with every atom moved by `size` at most, Å."""
    moved = atoms.copy()
    moved.positions += size * DISPLACEMENTS[kind](atoms, np.random.default_rng(seed))
    return moved


def strained(atoms: Atoms, size: float, seed: int) -> Atoms:
    """Return the crystal strained by principal strains of `size` at most, one of them of just that size; dimensionless."""
    rng = np.random.default_rng(seed)
    axes = Rotation.random(random_state=seed).as_matrix()
    sizes = size * np.append(rng.uniform(-1, 1, size=2), rng.choice([-1.0, 1.0]))
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + axes @ np.diag(sizes) @ axes.T), scale_atoms=True)
    return moved
