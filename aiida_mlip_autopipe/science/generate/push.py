"""Neighbours of an atom that was put between them, moved out of its way."""

from __future__ import annotations

from typing import Annotated, Final

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.geometry import find_mic
from pydantic import Field

from aiida_mlip_autopipe.common.frames import FloatArray

Push = Annotated[float | None, Field(gt=0, le=1.2)]
"""Sums of the covalent radii; farther than 1.2 neighbours touch each other."""

PUSH: Final = 'neighbours nearer than this are moved away to it, in sums of covalent radii, dimensionless; left out: they stay'


def told_push(push: float | None) -> dict[str, float]:
    """Return what an origin says of it: nothing where no atom was moved."""
    return {} if push is None else {'push': push}


def pushed(atoms: Atoms, inserted: list[int], push: float | None) -> FloatArray:
    """Return the positions after each neighbour of the inserted atoms went straight away from them, Å, shape (n_atoms, 3).

    A neighbour nearer than `push` times the sum of the radii stands at that distance then; inserted atoms stay. Of several
    inserted atoms a neighbour leaves each in turn.

    :param inserted: indices of the inserted atoms.
    :param push: dimensionless; None leaves all atoms as they are.
    """
    positions = atoms.positions.copy()
    if push is None:
        return positions
    radii = covalent_radii[atoms.numbers]
    others = np.setdiff1d(np.arange(len(atoms)), inserted)
    for index in inserted:
        vectors, lengths = find_mic(positions[others] - positions[index], atoms.cell, atoms.pbc)
        limits = push * (radii[others] + radii[index])
        lacking = np.where((lengths < limits) & (lengths > 1e-3), limits - lengths, 0.0)
        positions[others] += vectors * (lacking / np.maximum(lengths, 1e-3))[:, None]
    return positions
