"""The structures that were seen, asked for an equivalent of a new one."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.generate.environment import (
    NEAREST,
    change,
    environments,
    fingerprint,
    reach_of,
    reduced_cell,
)
from aiida_mlip_autopipe.science.generate.equivalence import ROUNDING, SMALLEST, Crystal, same_crystal
from aiida_mlip_autopipe.science.generate.neighbours import Neighbours, neighbours

COLUMNS = [0, 5, NEAREST]
"""Numbers of a fingerprint by which structures are looked up: a bond's least length, and two that differ much."""

BOX = 4.0
"""Width of a box in tolerances t: no bound of :func:`change`, 2 t + 1.45 t / (1 - t / l) at most, is above it."""


class _Seen(NamedTuple):
    """A structure seen before: its uid, its fingerprint, and the structure itself."""

    uid: str
    fingerprint: FloatArray
    atoms: Atoms


class SeenStructures:
    """Structures seen so far: fingerprints are looked up, and the few that may be equivalent are compared.

    A structure equivalent to one seen before, as :func:`same_crystal` defines it, is always found, for the fingerprints of
    equivalent structures differ by no more than :func:`change`; no other is.

    :param tolerance: Å, largest displacement of an atom between equivalent structures, at least 0.
    :raises InputError: the tolerance is negative.
    """

    def __init__(self, tolerance: float) -> None:
        if not tolerance >= 0.0:
            raise InputError(f'the tolerance of equivalent structures must be at least 0 Å, got {tolerance}')
        self.tolerance = max(tolerance, SMALLEST)
        self.n_compared = 0
        self._width = BOX * self.tolerance
        self._boxes: defaultdict[tuple[object, ...], list[_Seen]] = defaultdict(list)

    def find_or_add(self, atoms: Atoms, uid: str, found: Neighbours | None = None) -> str | None:
        """Return the uid of an equivalent structure seen before; or remember this one and return None.

        :param found: all neighbours nearer than :func:`reach_of`, where they are known.
        """
        reach = reach_of(atoms)
        seen = environments(atoms.numbers, neighbours(atoms, reach) if found is None else found, reach)
        crystal = Crystal(atoms.numbers, atoms.positions, reduced_cell(atoms), seen, reach)
        bound = change(self.tolerance, crystal.longest, reach) * (1.0 + ROUNDING)
        own = fingerprint(seen, atoms.numbers)
        formula = np.sort(atoms.numbers).astype(np.uint8).tobytes()
        box = (own[COLUMNS] // self._width).astype(int).tolist()
        near = (range(number - 1, number + 2) for number in box)
        for other in itertools.chain.from_iterable(self._boxes.get((formula, *place), ()) for place in itertools.product(*near)):
            if np.abs(other.fingerprint - own).max() > bound:
                continue
            self.n_compared += 1
            if same_crystal(Crystal.of(other.atoms), crystal, self.tolerance):
                return other.uid
        held = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.array, pbc=True)
        self._boxes[(formula, *box)].append(_Seen(uid, own, held))
        return None
