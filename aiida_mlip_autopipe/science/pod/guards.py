"""Structures on which POD would crash or fit nonsense, found before LAMMPS sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames, IntArray
from aiida_mlip_autopipe.science.lammps_library import kinds_of


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Neighbours within the cutoff.

    :param counts: number of neighbours of each atom, periodic images included, shape (n_atoms,).
    :param shortest: Å, shortest distance; infinite when there is no neighbour.
    """

    counts: IntArray
    shortest: float


def surroundings(atoms: Atoms, cutoff: float) -> Surroundings:
    """Return the neighbours of a structure within `cutoff` (Å)."""
    centres, distances = neighbor_list('id', atoms, cutoff)
    counts = np.bincount(centres, minlength=len(atoms)).astype(np.int64)
    return Surroundings(counts, float(distances.min()) if len(distances) else np.inf)


def require_neighbours(atoms: Atoms, cutoff: float, name: str) -> float:
    """Return the shortest distance (Å) of a structure on which `pair_style pod` is safe.

    It ends the process for an atom without neighbours (SIGSEGV) and for a cell that holds a lone pair only (SIGABRT).

    :param name: of the structure, for the message.
    :raises InputError: an atom has no neighbour, or no atom has two.
    """
    found = surroundings(atoms, cutoff)
    if not found.counts.all():
        lonely = int(np.argmin(found.counts))
        raise InputError(f'{name} ({atoms.symbols}): atom {lonely} has no neighbour within the cutoff of {cutoff} Å')
    if found.counts.max() < 2:
        raise InputError(f'{name} ({atoms.symbols}): no atom has two neighbours within the cutoff of {cutoff} Å')
    return found.shortest


def require_usable(frames: Frames, elements: Sequence[str], cutoff: float) -> float:
    """Return the shortest distance (Å) in structures that LAMMPS can handle.

    :raises InputError: a frame is not periodic, has an unknown element or has an atom without neighbours.
    """
    shortest = np.inf
    for index, atoms in enumerate(frames):
        try:
            kinds_of(atoms, elements)
        except InputError as error:
            raise InputError(f'frame {index}: {error}') from error
        shortest = min(shortest, require_neighbours(atoms, cutoff, f'frame {index}'))
    return shortest
