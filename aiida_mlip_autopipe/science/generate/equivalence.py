"""Structures that are the same after a translation, a rotation, a mirror or a permutation of their atoms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.geometry import minkowski_reduce
from matscipy.neighbours import neighbour_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, IntArray

REACH = 1.9
"""Range of the invariants in units of the cube root of the volume per atom: the second shell of a close-packed lattice."""

LONGEST = 6.0
"""Å, largest range of the invariants, for cells with vacuum."""

SLACK = 1.0
"""By how much the invariants (means over the atoms) may differ for each Å that atoms differ by, in random directions."""

BINNED = (0, 3, 6)
"""Invariants by which structures are looked up."""


@dataclass(frozen=True, eq=False)
class _Known:
    uid: str
    numbers: npt.NDArray[np.uint8]
    positions: FloatArray
    cell: FloatArray
    pbc: BoolArray
    invariants: FloatArray

    def atoms(self) -> Atoms:
        return Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)


class SeenStructures:
    """Structures seen so far, asked for an equivalent of a new one: cheap invariants first, exact comparison where they agree.

    About 35 bytes are held for each atom.

    :param tolerance: Å, largest displacement of an atom between equivalent structures, at least 0.
    :raises InputError: the tolerance is negative.
    """

    def __init__(self, tolerance: float) -> None:
        if not tolerance >= 0.0:
            raise InputError(f'the tolerance of equivalent structures must be at least 0 Å, got {tolerance}')
        self.tolerance = tolerance
        self._width = max(SLACK * tolerance, 1e-6)
        self._bins: dict[tuple[bytes, int, int, int], list[_Known]] = {}

    def find_or_add(self, atoms: Atoms, uid: str) -> str | None:
        """Return the uid of an equivalent structure seen before; or remember this one and return None."""
        found = invariants(atoms)
        formula = np.sort(atoms.numbers).tobytes()
        i, j, k = (int(found[index] // self._width) for index in BINNED)
        for di, dj, dk in _AROUND:
            for other in self._bins.get((formula, i + di, j + dj, k + dk), ()):
                close = np.abs(other.invariants - found).max() <= self._width
                if close and equivalent(other.atoms(), atoms, self.tolerance):
                    return other.uid
        known = _Known(uid, atoms.numbers.astype(np.uint8), atoms.positions.copy(), atoms.cell.array.copy(), atoms.pbc, found)
        self._bins.setdefault((formula, i, j, k), []).append(known)
        return None


_AROUND = tuple(itertools.product((-1, 0, 1), repeat=3))


def invariants(atoms: Atoms) -> FloatArray:
    """Return numbers that translation, rotation, permutation and another choice of the cell leave alone, shape (7,).

    The first is the cube root of the volume per atom, Å. With w_ij = z_j (1 - d_ij / r)² and its square in turn, and n_i = Σ_j
    w_ij, the others are the means of n_i, z_i n_i and n_i²; z is a number in 1..2 that depends on the element, r grows with
    the volume per atom.
    """
    size = (abs(atoms.cell.volume) / len(atoms)) ** (1 / 3)
    reach = min(REACH * size, LONGEST)
    first, second, distances = neighbour_list(
        'ijd', positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc, cutoff=reach
    )
    weight = 1.0 + (atoms.numbers * 0.6180339887498949) % 1.0
    near = (1.0 - distances / reach) ** 2
    found = [size]
    for kernel in (near, near * near):
        density = np.bincount(first, weights=kernel * weight[second], minlength=len(atoms))
        found += [density.mean(), (density @ weight) / len(atoms), (density @ density) / len(atoms)]
    return np.array(found)


def equivalent(first: Atoms, second: Atoms, tolerance: float) -> bool:
    """Return whether a rigid motion or a mirror takes one crystal onto the other, atom onto atom of the same element.

    :param tolerance: Å, largest distance between atoms that are laid on each other; lattice vectors may differ by as much.
    """
    if sorted(first.numbers) != sorted(second.numbers) or (first.pbc != second.pbc).any():
        return False
    cell, _ = minkowski_reduce(first.cell.array)
    slack = max(tolerance, 1e-6)
    scaled = np.linalg.solve(cell.T, first.positions.T).T
    heights = abs(np.linalg.det(cell)) / np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    for other in _matching_cells(cell, second.cell.array, slack):
        moved = np.linalg.solve(other.T, second.positions.T).T
        if _same_up_to_translation(scaled, first.numbers, moved, second.numbers, (cell, heights, slack)):
            return True
    return False


def _matching_cells(cell: FloatArray, lattice: FloatArray, slack: float) -> Iterator[FloatArray]:
    """Yield the bases of `lattice` with the lengths and angles of `cell`, each a rotation or mirror that may fit."""
    reduced, _ = minkowski_reduce(lattice)
    steps = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))
    vectors = steps @ reduced
    lengths = np.linalg.norm(vectors, axis=1)
    metric = cell @ cell.T
    edges = np.sqrt(np.diag(metric))
    choices = [vectors[np.abs(lengths - edge) <= slack] for edge in edges]
    for a in choices[0]:
        fitting = choices[1][np.abs(choices[1] @ a - metric[0, 1]) <= slack * (edges[0] + edges[1])]
        thirds = choices[2][np.abs(choices[2] @ a - metric[0, 2]) <= slack * (edges[0] + edges[2])]
        for b in fitting:
            for c in thirds[np.abs(thirds @ b - metric[1, 2]) <= slack * (edges[1] + edges[2])]:
                yield np.array([a, b, c])


def _same_up_to_translation(
    scaled: FloatArray, numbers: IntArray, moved: FloatArray, others: IntArray, frame: tuple[FloatArray, FloatArray, float]
) -> bool:
    """Return whether a shift lays the scaled positions `moved` on `scaled`; the rarest element tells the shifts to try."""
    kinds, counts = np.unique(numbers, return_counts=True)
    rarest = kinds[counts.argmin()]
    anchor = scaled[numbers == rarest][0]
    return any(_laid_on(scaled, numbers, moved + (anchor - start), others, frame) for start in moved[others == rarest])


def _laid_on(
    scaled: FloatArray, numbers: IntArray, moved: FloatArray, others: IntArray, frame: tuple[FloatArray, FloatArray, float]
) -> bool:
    cell, heights, slack = frame
    used = np.zeros(len(moved), dtype=bool)
    reach = 2.0 * slack / heights  # the anchors themselves may differ by the tolerance
    for place, number in zip(scaled, numbers, strict=True):
        difference = moved - place
        difference -= np.rint(difference)
        near = (np.abs(difference) <= reach).all(axis=1) & (others == number) & ~used
        candidates = np.flatnonzero(near)
        if not len(candidates):
            return False
        distances = np.linalg.norm(difference[candidates] @ cell, axis=1)
        if distances.min() > 2.0 * slack:
            return False
        used[candidates[distances.argmin()]] = True
    return True
