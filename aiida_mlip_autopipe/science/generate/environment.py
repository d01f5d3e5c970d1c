"""What an atom sees around it: numbers that no rigid motion changes, and that a small displacement changes by a known bound."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.science.generate.neighbours import Neighbours

RANGE: Final = 1.45
"""Range in units of the cube root of the volume per atom: between the first and the second shell of a close-packed lattice."""

LONGEST: Final = 4.5
"""Å, largest range, for cells with vacuum."""

NEAREST: Final = 12
"""Neighbours that are looked at."""

TAG: Final = 0.5
"""Å; the tags of the elements of a structure lie between 0 and this."""


@lru_cache(maxsize=1024)
def _reduced(cell: bytes) -> FloatArray:
    found = np.asarray(minkowski_reduce(np.frombuffer(cell).reshape(3, 3))[0], dtype=np.float64)
    found.flags.writeable = False
    return found


def reduced_cell(atoms: Atoms) -> FloatArray:
    """Return the Minkowski-reduced lattice vectors, Å, shape (3, 3), read-only; worked out once for all with the same cell."""
    return _reduced(np.ascontiguousarray(atoms.cell.array).tobytes())


def reach_of(atoms: Atoms) -> float:
    """Return the range of the environments of a crystal, Å; it grows with the volume per atom up to :data:`LONGEST`."""
    return min(RANGE * float(atoms.cell.volume / len(atoms)) ** (1 / 3), LONGEST)


def environments(numbers: IntArray, found: Neighbours, reach: float) -> FloatArray:
    """Return for each atom the smallest of min(d_ij + c_j, r) over its neighbours j, ascending, Å, shape (n_atoms, NEAREST).

    c is the tag of an element. Each number changes by no more than :func:`change` says, for sorting and the lesser of two
    numbers never enlarge the largest change.

    :param found: all neighbours nearer than `reach`.
    :param reach: r, Å.
    """
    elements, kinds = np.unique(numbers, return_inverse=True)
    tagged = found.distances + np.linspace(0.0, TAG, len(elements))[kinds].take(found.others)
    np.minimum(tagged, reach, out=tagged)
    tagged.sort(axis=1)
    missing = NEAREST - tagged.shape[1]
    if missing > 0:
        tagged = np.concatenate([tagged, np.full((len(tagged), missing), reach)], axis=1)
    return tagged[:, :NEAREST]


def change(tolerance: float, longest: float, reach: float) -> float:
    """Return by how much equivalent structures may differ in an environment, Å.

    Where a strain of at most ε = t / l makes the lattices equal and atoms are displaced by t at most after it, |Δd| <= 2 t + ε r
    for every pair that is nearer than r, the larger of both ranges, in one of the structures; and the ranges differ by no more
    than ε r. The range of the other structure is no larger than that of this one over 1 - ε.

    :param tolerance: t, Å.
    :param longest: l, the longest lattice vector of the reduced cell, Å.
    :param reach: range of this structure, Å.
    """
    strain = tolerance / longest
    return 2.0 * tolerance + strain * reach / max(1.0 - strain, 1e-9)


def fingerprint(seen: FloatArray, numbers: IntArray) -> FloatArray:
    """Return numbers for a whole structure, Å: of each place in the environments the least, the largest, and the element's means.

    None changes by more than the number of an environment that changes most. The least and the largest tell displaced crystals
    apart; the means count neighbours by element, which alloys on one perfect lattice differ in.

    :param seen: what :func:`environments` returns.
    """
    means = [seen[numbers == number].mean(axis=0) for number in np.unique(numbers)]
    return np.concatenate([seen.min(axis=0), seen.max(axis=0), *means])
