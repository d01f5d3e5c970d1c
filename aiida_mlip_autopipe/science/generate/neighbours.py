"""Distances of each atom to its near neighbours, of rattled copies without a search of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list

from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, IntArray

SKIN = 1.0
"""Å, by how much farther than asked for the neighbours of a parent are searched."""

MAX_PARENTS = 256
"""Parents whose neighbours are held, those last used; about 40 kB for 64 atoms."""

FAR = 1e3
"""Å, distance in place of a neighbour that an atom does not have."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The neighbours of all atoms, in a table with as many columns as the atom with the most of them has.

    :param others: index of each neighbour, shape (n_atoms, n_columns); 0 where there is none.
    :param distances: Å, same shape; :data:`FAR` where there is none. All below the reach are there, farther ones may be.
    """

    others: IntArray
    distances: FloatArray


def neighbours(atoms: Atoms, reach: float, parent: Atoms | None = None) -> Neighbours:
    """Return all neighbours nearer than `reach`, Å, images of the atom itself among them.

    In a copy of a parent with the same cell whose atoms i have moved by u_i, two atoms nearer than the reach were nearer than
    reach + |u_i| + |u_j| before. So while the two largest |u| add up to no more than the skin, the neighbours of the parent
    within reach + skin are all that there can be. They are searched once for all of its copies.

    :param parent: the structure that this one was made from, if any.
    """
    if parent is not None and len(parent) == len(atoms) and parent.cell.array.tobytes() == atoms.cell.array.tobytes():
        moved = atoms.positions.T - parent.positions.T
        if np.sort(np.sqrt((moved * moved).sum(axis=0)))[-2:].sum() <= SKIN:
            others, vectors = _of_parent(*(a.tobytes() for a in (parent.positions, parent.cell.array, parent.pbc)), reach + SKIN)
            return Neighbours(others, _lengths(vectors + moved.take(others, axis=1) - moved[:, :, None]))
    others, vectors = _search(atoms.positions, atoms.cell.array, atoms.pbc, reach)
    return Neighbours(others, _lengths(vectors))


@lru_cache(maxsize=MAX_PARENTS)
def _of_parent(positions: bytes, cell: bytes, pbc: bytes, reach: float) -> tuple[IntArray, FloatArray]:
    rows, vectors = (np.frombuffer(each).reshape(-1, 3) for each in (positions, cell))
    return _search(rows, vectors, np.frombuffer(pbc, dtype=np.bool_), reach)


def _lengths(vectors: FloatArray) -> FloatArray:
    x, y, z = vectors
    return np.sqrt(x * x + y * y + z * z)


def _search(positions: FloatArray, cell: FloatArray, pbc: BoolArray, reach: float) -> tuple[IntArray, FloatArray]:
    """Return the index of each neighbour, shape (n_atoms, n_columns), and the vectors, Å, shape (3, n_atoms, n_columns)."""
    first, second, vectors = neighbour_list('ijD', positions=positions, cell=cell, pbc=pbc, cutoff=reach)
    counts = np.bincount(first, minlength=len(positions))
    width = max(int(counts.max()), 1)
    order = np.argsort(first, kind='stable')
    starts = np.cumsum(counts) - counts
    rows = first[order]
    columns = np.arange(len(first)) - starts[rows]
    others = np.zeros((len(positions), width), dtype=np.int64)
    table = np.zeros((3, len(positions), width))
    table[0] = FAR
    others[rows, columns] = second[order]
    table[:, rows, columns] = vectors[order].T
    return others, table
