"""Whether two crystals are the same after a rigid motion or a mirror, whatever the order of the atoms and the cell chosen."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, IntArray
from aiida_mlip_autopipe.science.generate.enclosing import fits_in_ball, smallest_ball
from aiida_mlip_autopipe.science.generate.environment import change, environments, reach_of
from aiida_mlip_autopipe.science.generate.lattice import Lattice, lattice_of
from aiida_mlip_autopipe.science.generate.neighbours import neighbours

SMALLEST = 1e-6
"""Å, tolerance in place of a smaller one, for rounding."""

_ROUNDING = 1e-9
"""Relative error of lengths, far above that of double precision."""

_AT_ONCE = 100_000
"""Pairs of atoms that are laid on each other at once."""

_FIRST = 6
"""Atoms that are laid on each other first; where they do not fit, the others are not tried."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """A periodic structure prepared for comparison.

    :param numbers: atomic numbers, shape (n_atoms,).
    :param positions: Å, shape (n_atoms, 3).
    :param lattice: that of its translations.
    :param seen: environments, see :func:`environments`.
    :param reach: their range, Å.
    """

    numbers: IntArray
    positions: FloatArray
    lattice: Lattice
    seen: FloatArray
    reach: float

    @classmethod
    def of(cls, atoms: Atoms) -> Crystal:
        """Return a structure, periodic in all directions, prepared for comparison."""
        reach = reach_of(atoms)
        seen = environments(atoms.numbers, neighbours(atoms, reach), reach)
        return cls(atoms.numbers, atoms.positions, lattice_of(atoms.cell.array), seen, reach)


def equivalent(first: Atoms, second: Atoms, tolerance: float) -> bool:
    """Return whether two crystals are the same, as :func:`same_crystal` says."""
    if sorted(first.numbers) != sorted(second.numbers) or (first.pbc != second.pbc).any():
        return False
    return same_crystal(Crystal.of(first), Crystal.of(second), tolerance)


def same_crystal(first: Crystal, second: Crystal, tolerance: float) -> bool:
    """Return whether two crystals of the same formula are the same within t.

    They are where, after some rigid motion or mirror and some choice of the lattice vectors, (1) a strain of at most t / l makes
    the lattices equal, l being the longest vector of the reduced cells, and (2) each atom then lies within t of an atom of the
    same element of the other. This is decided exactly where t is less than an eighth of the shortest distance between atoms
    and between opposite faces. Cells of one crystal that differ in shape, not only in the choice of the vectors, such as repeats
    4 x 1 x 1 and 2 x 2 x 1, have a common lattice where the translations within one of them leave it alone to within t / 2.

    :param tolerance: t, Å; below :data:`SMALLEST` this in its place.
    """
    slack = max(tolerance, SMALLEST)
    strain = slack / max(first.lattice.longest, second.lattice.longest)
    bound = change(slack, max(first.lattice.longest, second.lattice.longest), max(first.reach, second.reach)) * (1.0 + _ROUNDING)
    alike = _alike(first, second, bound)
    if not (alike.any(axis=0).all() and alike.any(axis=1).all()):
        return False
    own = np.zeros((1, 3))
    if _laid_on(first, second, alike, (own, strain, slack)):
        return True
    for one, other, pairs in ((first, second, alike), (second, first, alike.T)):
        translations = _translations(one, slack / 2.0)
        if len(translations) > 1 and _laid_on(one, other, pairs, (translations, strain, slack)):
            return True
    return False


def _alike(first: Crystal, second: Crystal, bound: float) -> BoolArray:
    """Return which atoms are of one element and in environments that may be the same, shape (n_first, n_second)."""
    alike = first.numbers[:, None] == second.numbers[None, :]
    rows, columns = np.nonzero(alike)
    for start in range(first.seen.shape[1]):
        near = np.abs(first.seen[rows, start] - second.seen[columns, start]) <= bound
        rows, columns = rows[near], columns[near]
    alike[:] = False
    alike[rows, columns] = True
    return alike


def _laid_on(first: Crystal, second: Crystal, alike: BoolArray, search: tuple[FloatArray, float, float]) -> bool:
    """Return whether the second crystal can be laid on the first.

    :param search: translations of the first in units of its cell, shape (n, 3); largest strain, dimensionless; tolerance, Å.
    """
    translations, strain, slack = search
    scaled = np.linalg.solve(second.lattice.reduced.T, second.positions.T).T
    order = np.argsort(alike.sum(axis=0), kind='stable')[:_FIRST]
    places = first.positions[alike[:, order[0]]]
    others, few = np.nonzero(alike[:, order])
    sets = _vector_sets(first.lattice.reduced, translations, second.lattice.reduced, strain)
    at_once = max(_AT_ONCE // (len(places) * len(few)), 1)
    for start in range(0, len(sets), at_once):
        moved = scaled[order] @ sets[start : start + at_once]
        shifts = places[None, :, :] - moved[:, :1, :]
        gaps = moved[:, None, few, :] + shifts[:, :, None, :] - first.positions[others]
        gaps = _wrapped(gaps, first.lattice.reduced)
        near = (gaps * gaps).sum(axis=3) <= (2.0 * slack * (1.0 + _ROUNDING)) ** 2
        fitting = np.all([near[:, :, few == atom].any(axis=2) for atom in range(len(order))], axis=0)
        for number, place in np.argwhere(fitting):
            laid = _nearest(first, scaled @ sets[start + number] + shifts[number, place], alike)
            if laid.within(slack) and (len(translations) > 1 or laid.is_one_to_one):
                return True
    return False


@dataclass(frozen=True, eq=False)
class _Laid:
    """Atoms laid on a crystal.

    :param others: of each, the nearest atom of the crystal that is like it.
    :param gaps: vectors from those, Å, shape (n_atoms, 3).
    """

    others: IntArray
    gaps: FloatArray

    @property
    def is_one_to_one(self) -> bool:
        """Whether no two atoms share one of the crystal's."""
        return len(np.unique(self.others)) == len(self.others)

    def within(self, slack: float) -> bool:
        """Return whether one more, small shift brings each within `slack`, Å, of its place.

        Before it they are within twice that, for those that the first shift laid on each other may differ themselves.
        """
        longest = float(np.sqrt((self.gaps * self.gaps).sum(axis=1).max()))
        return longest <= 2.0 * slack * (1.0 + _ROUNDING) and fits_in_ball(self.gaps, slack)


def _nearest(first: Crystal, moved: FloatArray, alike: BoolArray) -> _Laid:
    """Return the moved atoms, each laid on the nearest of the first crystal that is like it."""
    others, atoms = np.nonzero(alike)
    gaps = _wrapped(moved[atoms] - first.positions[others], first.lattice.reduced)
    order = np.lexsort(((gaps * gaps).sum(axis=1), atoms))
    nearest = order[np.searchsorted(atoms[order], np.arange(len(moved)))]
    return _Laid(others[nearest], gaps[nearest])


def _wrapped(vectors: FloatArray, cell: FloatArray) -> FloatArray:
    """Return vectors less the lattice vectors that make their scaled components smallest, Å."""
    scaled = vectors @ np.linalg.inv(cell)
    return (scaled - np.rint(scaled)) @ cell


def _translations(crystal: Crystal, slack: float) -> FloatArray:
    """Return the translations that leave a crystal alone, in units of its cell, the first of them 0, shape (n, 3).

    They are fractions of the number of atoms, for each moves every atom, and so their number divides that.
    """
    alike = _alike(crystal, crystal, 2.0 * slack * (1.0 + _ROUNDING))
    found = [np.zeros(3)]
    anchor = int(alike.sum(axis=0).argmin())
    for other in np.flatnonzero(alike[:, anchor]):
        shift = crystal.positions[other] - crystal.positions[anchor]
        laid = _nearest(crystal, crystal.positions + shift, alike)
        if other == anchor or not laid.within(slack):
            continue
        scaled = np.linalg.solve(crystal.lattice.reduced.T, shift - smallest_ball(laid.gaps)[0])
        found.append(np.rint(scaled * len(crystal.numbers)) / len(crystal.numbers) % 1.0)
    return np.array(found)


def _vector_sets(cell: FloatArray, translations: FloatArray, wanted: FloatArray, strain: float) -> FloatArray:
    """Return the sets of three lattice vectors that a strain, a rotation and perhaps a mirror take onto the wanted one.

    No vector of length l has a component above l / h, h being the distance between opposite faces.

    :param translations: lattice points within the cell, in units of it, shape (n, 3).
    :param wanted: rows are lattice vectors, Å.
    :return: Å, rows are lattice vectors, shape (n, 3, 3).
    """
    strain += _ROUNDING
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
    sets = np.stack([first[i[pair]], second[j[pair]], third[k]], axis=1)
    stretches = np.linalg.svd(np.linalg.solve(wanted, sets), compute_uv=False)
    return sets[(np.abs(stretches - 1.0) <= strain).all(axis=1)]
