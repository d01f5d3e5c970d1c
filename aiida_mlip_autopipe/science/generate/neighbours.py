"""Distances of each atom to its near neighbours, of rattled copies without a search of their own."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list

from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

SKIN = 1.0
"""Å, by how much farther than asked for the neighbours of a parent are searched."""

LOOKS = 4
"""Copies of a parent that are searched on their own before the neighbours of the parent are; the latter takes as long."""

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


@dataclass(frozen=True, eq=False)
class _Table:
    others: IntArray
    vectors: FloatArray
    """Å, shape (3, n_atoms, n_columns)."""


@dataclass(eq=False)
class _Parent:
    atoms: Atoms
    reach: float
    looks: int = 0
    table: _Table | None = None


def neighbours(atoms: Atoms, reach: float) -> Neighbours:
    """Return all neighbours nearer than `reach`, Å, images of the atom itself among them."""
    table = _search(atoms, reach)
    return Neighbours(table.others, _lengths(table.vectors))


class NeighbourSearch:
    """Finds neighbours, and remembers those of parents.

    In a copy of a parent with the same cell whose atoms i have moved by u_i, two atoms nearer than the reach were nearer than
    reach + |u_i| + |u_j| before. So while the two largest |u| add up to no more than the skin, the neighbours of the parent
    within reach + skin are all that there can be.
    """

    def __init__(self) -> None:
        self._parents: OrderedDict[int, _Parent] = OrderedDict()

    def of(self, atoms: Atoms, reach: float, parent: Atoms | None) -> Neighbours:
        """Return all neighbours nearer than `reach`, Å.

        :param parent: the structure that this one was made from, which must not change any more.
        """
        if parent is None or len(parent) != len(atoms) or parent.cell.array.tobytes() != atoms.cell.array.tobytes():
            return neighbours(atoms, reach)
        moved = atoms.positions.T - parent.positions.T
        lengths = np.sqrt((moved * moved).sum(axis=0))
        farthest = lengths.max()
        if farthest > SKIN / 2 and np.partition(lengths, -2)[-2:].sum() > SKIN:
            return neighbours(atoms, reach)
        table = self._table(parent, reach)
        if table is None:
            return neighbours(atoms, reach)
        return Neighbours(table.others, _lengths(table.vectors + moved.take(table.others, axis=1) - moved[:, :, None]))

    def _table(self, parent: Atoms, reach: float) -> _Table | None:
        known = self._parents.get(id(parent))
        if known is None or known.atoms is not parent or known.reach < reach:
            known = self._parents[id(parent)] = _Parent(parent, reach)
            if len(self._parents) > MAX_PARENTS:
                self._parents.popitem(last=False)
        self._parents.move_to_end(id(parent))
        known.looks += 1
        if known.table is None and known.looks > LOOKS:
            known.table = _search(parent, known.reach + SKIN)
        return known.table


def _lengths(vectors: FloatArray) -> FloatArray:
    x, y, z = vectors
    return np.sqrt(x * x + y * y + z * z)


def _search(atoms: Atoms, reach: float) -> _Table:
    first, second, vectors = neighbour_list('ijD', positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc, cutoff=reach)
    counts = np.bincount(first, minlength=len(atoms))
    width = max(int(counts.max()), 1)
    order = np.argsort(first, kind='stable')
    starts = np.cumsum(counts) - counts
    rows = first[order]
    columns = np.arange(len(first)) - starts[rows]
    others = np.zeros((len(atoms), width), dtype=np.int64)
    table = np.zeros((3, len(atoms), width))
    table[0] = FAR
    others[rows, columns] = second[order]
    table[:, rows, columns] = vectors[order].T
    return _Table(others, table)
