"""What an atom sees around it: numbers that no rigid motion changes, and that a small displacement changes by a known bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from ase import Atoms

from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.science.generate.lattice import lattice_of
from aiida_mlip_autopipe.science.generate.neighbours import Neighbours

RANGE: Final = 1.45
"""Range in units of the cube root of the volume per atom: between the first and the second shell of a close-packed lattice."""

LONGEST: Final = 4.5
"""Å, largest range, for cells with vacuum."""

NEAREST: Final = 12
"""Neighbours that are looked at."""

TAG: Final = 0.5
"""Å; the tags of the elements of a structure lie between 0 and this."""

QUANTUM: Final = 2e-4
"""Å, step to which fingerprints are rounded."""

COLUMNS: Final = (0, 5, 2, 11)
"""Neighbours whose smallest, largest and some more distances the fingerprint tells; those that differ most come first."""

N_RANKS: Final = 8
"""Atoms of which it tells them."""

_APART: Final = 16.0
"""Å, more than any range: keeps the elements apart when all atoms are sorted at once."""

LARGEST: Final = int(np.iinfo(np.int16).max)
"""Quanta, the most that a fingerprint can hold."""

Fingerprint = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class _Kinds:
    """What follows from the atomic numbers alone: tags Å, offsets Å and weights of each atom; ranks and the offsets of those."""

    tags: FloatArray
    offsets: FloatArray
    weights: FloatArray
    ranks: IntArray
    rank_offsets: FloatArray


def reach_of(atoms: Atoms) -> float:
    """Return the range of the environments of a crystal, Å; it grows with the volume per atom up to :data:`LONGEST`."""
    return min(RANGE * (lattice_of(atoms.cell.array).volume / len(atoms)) ** (1 / 3), LONGEST)


def environments(numbers: IntArray, found: Neighbours, reach: float) -> FloatArray:
    """Return for each atom the smallest of min(d_ij + c_j, r) over its neighbours j, ascending, Å, shape (n_atoms, NEAREST).

    c is the tag of an element. Each number changes by no more than :func:`change` says, for sorting and the lesser of two
    numbers never enlarge the largest change.

    :param found: all neighbours nearer than `reach`.
    :param reach: r, Å.
    """
    tagged = found.distances + _kinds(numbers.tobytes()).tags.take(found.others)
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


def fingerprint(seen: FloatArray, numbers: IntArray) -> Fingerprint:
    """Return numbers for a whole structure, in quanta: some of the environments, those of each element sorted, and their means.

    The n-th smallest of a set of numbers changes by no more than the number that changes most, and so does a mean with weights
    that add up to 1 at most: equivalent structures differ by no more than :func:`window` in each. Sorted ones tell displaced
    crystals apart; the means count neighbours by element, which alloys on one perfect lattice differ in.

    :param seen: what :func:`environments` returns.
    """
    kinds = _kinds(numbers.tobytes())
    columns = seen.T.take(COLUMNS, axis=0) + kinds.offsets
    columns.sort(axis=1)
    chosen = columns.take(kinds.ranks, axis=1) - kinds.rank_offsets
    found = np.concatenate([chosen.T.ravel(), (kinds.weights @ seen).ravel()])
    return np.rint(found * (1.0 / QUANTUM)).astype(np.int16)


def window(bound: float) -> int:
    """Return the largest difference of fingerprints, in quanta, where environments differ by `bound`, Å, at most."""
    return min(math.ceil(bound / QUANTUM) + 1, LARGEST)  # each of the two was rounded by half a quantum


@lru_cache(maxsize=256)
def _kinds(numbers: bytes) -> _Kinds:
    elements, kind, counts = np.unique(np.frombuffer(numbers, dtype=np.int64), return_inverse=True, return_counts=True)
    places = np.linspace(0.0, 1.0, len(elements))
    weights = np.stack([np.ones(len(kind)), places[kind]]) / len(kind)
    offsets = np.asarray(_APART * kind, dtype=np.float64)
    ends = np.cumsum(counts)
    outer = np.unique(np.concatenate([ends - counts, ends - 1]))
    inner = np.rint(np.linspace(0, len(kind) - 1, N_RANKS)).astype(np.int64)
    extra = np.setdiff1d(inner, outer)
    ranks = np.sort(np.concatenate([outer, extra[: max(N_RANKS - len(outer), 0)]])[:N_RANKS])
    return _Kinds(TAG * places[kind], offsets, weights, ranks, np.sort(offsets)[ranks])
