"""Whether two crystals are the same after a rigid motion or a mirror, whatever the order of the atoms and the cell chosen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, IntArray
from aiida_mlip_autopipe.science.generate.environment import change, environments, reach_of, reduced_cell
from aiida_mlip_autopipe.science.generate.neighbours import neighbours

SMALLEST = 1e-6
"""Å, tolerance in place of a smaller one, for rounding."""

ROUNDING = 1e-9
"""Relative error of lengths, far above that of double precision."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """A periodic structure prepared for comparison.

    :param numbers: atomic numbers, shape (n_atoms,).
    :param positions: Å, shape (n_atoms, 3).
    :param cell: reduced lattice vectors, Å, shape (3, 3).
    :param seen: environments, see :func:`environments`.
    :param reach: their range, Å.
    """

    numbers: IntArray
    positions: FloatArray
    cell: FloatArray
    seen: FloatArray
    reach: float

    @classmethod
    def of(cls, atoms: Atoms) -> Crystal:
        """Return a structure, periodic in all directions, prepared for comparison."""
        reach = reach_of(atoms)
        seen = environments(atoms.numbers, neighbours(atoms, reach), reach)
        return cls(atoms.numbers, atoms.positions, reduced_cell(atoms), seen, reach)

    @property
    def longest(self) -> float:
        """Length of the longest lattice vector, Å."""
        return float(np.linalg.norm(self.cell, axis=1).max())


def same_crystal(first: Crystal, second: Crystal, tolerance: float) -> bool:
    """Return whether two crystals of the same formula are the same within t.

    They are where, after some rigid motion or mirror and some choice of the lattice vectors, (1) a strain of at most t / l makes
    the lattices equal, l being the longest vector of the reduced cells, and (2) each atom then lies within t of an atom of the
    same element of the other. Where each lies within 2 t they may be called the same too, beyond it never. This holds where t is
    less than an eighth of the shortest distance between atoms and between opposite faces. Cells of one crystal that differ in
    shape, not only in the choice of the vectors, such as repeats 4 x 1 x 1 and 2 x 2 x 1, have a common lattice where the
    translations within one of them leave it alone to within t / 2.

    :param tolerance: t, Å; below :data:`SMALLEST` this in its place.
    """
    slack = max(tolerance, SMALLEST)
    longest = max(first.longest, second.longest)
    bound = change(slack, longest, max(first.reach, second.reach)) * (1.0 + ROUNDING)
    alike = _alike(first, second, bound)
    if not (alike.any(axis=0).all() and alike.any(axis=1).all()):
        return False
    own = np.zeros((1, 3))
    if next(_places(first, second, alike, _bases(first.cell, own, second.cell, slack / longest), slack), None) is not None:
        return True
    for one, other, pairs in ((first, second, alike), (second, first, alike.T)):
        translations = _translations(one, slack / 2.0)
        bases = _bases(one.cell, translations, other.cell, slack / longest)
        if len(translations) > 1 and next(_places(one, other, pairs, bases, slack), None) is not None:
            return True
    return False


def _alike(first: Crystal, second: Crystal, bound: float) -> BoolArray:
    """Return which atoms are of one element and in environments that may be the same, shape (n_first, n_second)."""
    alike = first.numbers[:, None] == second.numbers[None, :]
    for one, other in zip(first.seen.T, second.seen.T, strict=True):
        alike &= np.abs(one[:, None] - other[None, :]) <= bound
    return alike


def _places(first: Crystal, second: Crystal, alike: BoolArray, bases: FloatArray, slack: float) -> Iterator[FloatArray]:
    """Yield where an atom of the second crystal can be laid so that all its atoms lie on the first within twice the slack.

    It is the atom that is like fewest of the first, laid on each of these. Then the others may be off by what two atoms differ.

    :param bases: of the first lattice, in place of the reduced one of the second, Å, shape (n, 3, 3).
    """
    scaled = np.linalg.solve(second.cell.T, second.positions.T).T
    anchor, *others = np.argsort(alike.sum(axis=0), kind='stable')
    for place in first.positions[alike[:, anchor]]:
        left = bases
        for atom in others:
            moved = place + (scaled[atom] - scaled[anchor]) @ left
            gaps = _wrapped(moved[:, None, :] - first.positions[alike[:, atom]], first.cell)
            left = left[((gaps * gaps).sum(axis=2) <= (2.0 * slack * (1.0 + ROUNDING)) ** 2).any(axis=1)]
        if len(left):
            yield place


def _wrapped(vectors: FloatArray, cell: FloatArray) -> FloatArray:
    """Return vectors less the lattice vectors that make their scaled components smallest, Å."""
    scaled = vectors @ np.linalg.inv(cell)
    return (scaled - np.rint(scaled)) @ cell


def _translations(crystal: Crystal, slack: float) -> FloatArray:
    """Return the translations that leave a crystal alone, in units of its cell, 0 among them, shape (n, 3).

    They are fractions of the number of atoms, for each moves every atom, and so their number divides that.
    """
    alike = _alike(crystal, crystal, 2.0 * slack * (1.0 + ROUNDING))
    places = np.array(list(_places(crystal, crystal, alike, crystal.cell[None], slack)))
    scaled = np.linalg.solve(crystal.cell.T, (places - crystal.positions[alike.sum(axis=0).argmin()]).T).T
    return np.rint(scaled * len(crystal.numbers)) / len(crystal.numbers) % 1.0


def _bases(cell: FloatArray, translations: FloatArray, wanted: FloatArray, strain: float) -> FloatArray:
    """Return the bases in a lattice that a strain, a rotation and perhaps a mirror take onto the wanted one, shape (n, 3, 3).

    No vector of length l has a component above l / h, h being the distance between opposite faces.

    :param translations: lattice points within the cell, in units of it, shape (n, 3).
    :param wanted: rows are lattice vectors, Å.
    """
    strain += ROUNDING
    edges = np.linalg.norm(wanted, axis=1)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    most = (edges.max() * (1.0 + strain) / heights).astype(int)
    steps = np.array(list(itertools.product(*(range(-k - 1, k + 1) for k in most))))  # one more for the translations
    vectors = (steps[:, None, :] + translations[None, :, :]).reshape(-1, 3) @ cell
    lengths = np.linalg.norm(vectors, axis=1)
    first, second, third = (vectors[np.abs(lengths - edge) <= strain * edge] for edge in edges)
    metric = wanted @ wanted.T
    slack = (2.0 * strain + strain**2) * np.outer(edges, edges)
    i, j = np.nonzero(np.abs(first @ second.T - metric[0, 1]) <= slack[0, 1])
    fitting = (np.abs(first @ third.T - metric[0, 2]) <= slack[0, 2])[i] & (
        np.abs(second @ third.T - metric[1, 2]) <= slack[1, 2]
    )[j]
    pair, k = np.nonzero(fitting)
    bases = np.stack([first[i[pair]], second[j[pair]], third[k]], axis=1)
    stretches = np.linalg.svd(np.linalg.solve(wanted, bases), compute_uv=False)
    return bases[(np.abs(stretches - 1.0) <= strain).all(axis=1)]
