"""The structures that were seen, asked for an equivalent of a new one."""

from __future__ import annotations

import tempfile
import weakref
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.science.generate.columns import Column, Index
from aiida_mlip_autopipe.science.generate.environment import (
    LARGEST,
    LONGEST,
    Fingerprint,
    change,
    environments,
    fingerprint,
    reach_of,
    window,
)
from aiida_mlip_autopipe.science.generate.equivalence import SMALLEST, Crystal, same_crystal
from aiida_mlip_autopipe.science.generate.lattice import lattice_of
from aiida_mlip_autopipe.science.generate.neighbours import Neighbours, neighbours

_SHIFT: Final = LARGEST + 1

IN_MEMORY: Final = 2**20
"""Bytes of structures that are held before they go to a temporary file."""


class Spool:
    """Structures on disk, in a temporary file that goes with this object: 25 bytes for each atom and 72 for each cell."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # closed with the object, see below
        self._end = 0
        self._is_at_end = True
        weakref.finalize(self, self._file.close)

    def append(self, atoms: Atoms) -> int:
        """Store a structure and return where."""
        place = self._end
        if not self._is_at_end:
            self._file.seek(place)  # writes what is waiting, which takes longer than all else here
            self._is_at_end = True
        self._end += self._file.write(
            b''.join((atoms.numbers.astype(np.uint8).tobytes(), atoms.cell.array.tobytes(), atoms.positions.tobytes()))
        )
        return place

    def read(self, place: int, n_atoms: int) -> Atoms:
        """Return the structure of `n_atoms` atoms that was stored at a place, periodic in all directions."""
        self._file.seek(place)
        self._is_at_end = False
        numbers = np.frombuffer(self._file.read(n_atoms), dtype=np.uint8)
        rows = np.frombuffer(self._file.read((3 + n_atoms) * 3 * 8)).reshape(-1, 3)
        return Atoms(numbers=numbers.astype(np.int64), cell=rows[:3], positions=rows[3:], pbc=True)


class _Formula:
    """The structures with the same atoms: fingerprints, uids as numbers, and places in the spool, one row each.

    The index holds the first two numbers a and b of the fingerprints as ⌊a / w⌋ 2¹⁵ + b, so that those near to both lie in few
    short stretches.

    :param width: numbers in a fingerprint.
    :param bin_width: w, quanta.
    """

    def __init__(self, width: int, bin_width: int) -> None:
        self._bin_width = bin_width
        self._fingerprints = Column(np.int16, width)
        self._index = Index(np.int32)
        self.uids = Column(np.uint64)
        self.places = Column(np.int64)

    def append(self, found: Fingerprint, uid: str, place: int) -> None:
        """Add a structure."""
        self._fingerprints.append(found)
        self._index.append(int(found[0]) // self._bin_width * _SHIFT + int(found[1]))
        self.uids.append(np.uint64(int(uid, 16)))
        self.places.append(place)

    def near(self, found: Fingerprint, wide: int) -> IntArray:
        """Return the rows whose fingerprints differ by no more than `wide` in each number."""
        first, second = int(found[0]), int(found[1])
        low, high = max(second - wide, 0), min(second + wide, LARGEST)
        bins = range(max(first - wide, 0) // self._bin_width, min(first + wide, LARGEST) // self._bin_width + 1)
        rows = np.concatenate([self._index.within(number * _SHIFT + low, number * _SHIFT + high) for number in bins])
        if not len(rows):
            return rows
        return rows[(np.abs(self._fingerprints.rows[rows] - found) <= wide).all(axis=1)]


class SeenStructures:
    """Structures seen so far: fingerprints are looked up, and the few that may be equivalent are compared exactly.

    A structure equivalent to one seen before, as :func:`same_crystal` defines it, is always found, for the fingerprints of
    equivalent structures differ by less than a bound that is proven (:func:`change`, :func:`fingerprint`); no other is. In
    memory are about 150 bytes for each structure of whatever size, the atoms in a temporary file.

    :param tolerance: Å, largest displacement of an atom between equivalent structures, at least 0.
    :raises InputError: the tolerance is negative.
    """

    def __init__(self, tolerance: float) -> None:
        if not tolerance >= 0.0:
            raise InputError(f'the tolerance of equivalent structures must be at least 0 Å, got {tolerance}')
        self.tolerance = max(tolerance, SMALLEST)
        self.n_compared = 0
        self._bin_width = 2 * window(change(self.tolerance, LONGEST, LONGEST))
        self._formulas: dict[bytes, _Formula] = {}
        self._spool = Spool()

    def find_or_add(self, atoms: Atoms, uid: str, found: Neighbours | None = None) -> str | None:
        """Return the uid of an equivalent structure seen before; or remember this one and return None.

        :param uid: 16 hexadecimal digits.
        :param found: all neighbours nearer than :func:`reach_of`, where they are known.
        """
        reach = reach_of(atoms)
        seen = environments(atoms.numbers, neighbours(atoms, reach) if found is None else found, reach)
        own = fingerprint(seen, atoms.numbers)
        lattice = lattice_of(atoms.cell.array)
        wide = window(change(self.tolerance, lattice.longest, reach))
        formula = self._of(np.sort(atoms.numbers).astype(np.uint8).tobytes(), len(own))
        rows = formula.near(own, wide)
        if len(rows):
            crystal = Crystal(atoms.numbers, atoms.positions, lattice, seen, reach)
            for row in rows:
                self.n_compared += 1
                other = self._spool.read(int(formula.places.rows[row]), len(atoms))
                if same_crystal(Crystal.of(other), crystal, self.tolerance):
                    return f'{int(formula.uids.rows[row]):016x}'
        formula.append(own, uid, self._spool.append(atoms))
        return None

    def _of(self, key: bytes, width: int) -> _Formula:
        if key not in self._formulas:
            self._formulas[key] = _Formula(width, self._bin_width)
        return self._formulas[key]
