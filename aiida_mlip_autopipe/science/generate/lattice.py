"""What follows from the lattice vectors alone, worked out once for all structures with the same cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase.geometry import minkowski_reduce

from aiida_mlip_autopipe.common.frames import FloatArray


@dataclass(frozen=True, eq=False)
class Lattice:
    """A lattice.

    :param reduced: its Minkowski-reduced basis, Å, shape (3, 3); read-only.
    :param longest: length of the longest vector of that, Å.
    :param volume: of the cell, Å³.
    """

    reduced: FloatArray
    longest: float
    volume: float


def lattice_of(cell: FloatArray) -> Lattice:
    """Return the lattice of a cell, rows are its vectors, Å."""
    return _lattice(np.ascontiguousarray(cell).tobytes())


@lru_cache(maxsize=1024)
def _lattice(cell: bytes) -> Lattice:
    reduced = np.asarray(minkowski_reduce(np.frombuffer(cell).reshape(3, 3))[0], dtype=np.float64)
    reduced.flags.writeable = False
    return Lattice(reduced, float(np.linalg.norm(reduced, axis=1).max()), abs(float(np.linalg.det(reduced))))
