"""Frequencies of the phonons of a crystal at a few q-points, by phonopy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat, model_validator

from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.force_constants import displaced_cells, phonon_of, with_forces
from aiida_mlip_autopipe.science.properties.quantity import Limit, Property, Quantity, Repeats, Result

Point = tuple[float, float, float]

WHOLE_TOLERANCE = 1e-6
"""How far the repeats times a coordinate of a q-point may lie from a whole number."""


class PhononsProperty(Property):
    """Frequencies of phonons at a few q-points, by finite displacements in a supercell (phonopy).

    An imaginary one is negative. The long-range part of ions is left out.
    """

    ORDER = 4

    supercell: Repeats = Field(default=(2, 2, 2), description='repeats of the primitive cell')
    distance: float = Field(default=0.02, gt=0, le=0.2, description='Å, length of the displacements')
    q_points: list[Point] = Field(
        default=[(0.5, 0.5, 0.0), (0.5, 0.5, 0.5)],
        min_length=1,
        description='q-points in units of the reciprocal vectors of the primitive cell; exact where they fit the supercell, so '
        'that others are refused',
    )
    error: PositiveFloat = Field(default=0.5, le=10, description='THz, largest error of a frequency')

    @model_validator(mode='after')
    def check_points(self) -> Self:
        """Refuse q-points between those that the supercell holds."""
        for point in self.q_points:
            waves = [n * q for n, q in zip(self.supercell, point, strict=True)]
            if any(abs(wave - round(wave)) > WHOLE_TOLERANCE for wave in waves):
                raise ValueError(
                    f'q_points: {list(point)} does not fit the supercell {list(self.supercell)}: repeats times '
                    'coordinate must be whole numbers'
                )
        return self

    def frames(self, crystal: Crystal) -> dict[str, Atoms]:
        """Return the displaced supercells."""
        moved = displaced_cells(phonon_of(crystal.atoms, self.supercell, self.distance))
        return {f'displaced {number}': atoms for number, atoms in enumerate(moved)}

    def quantities(self, crystal: Crystal, found: Mapping[str, Result]) -> list[Quantity]:
        """Return the frequency of each branch at each q-point, from low to high."""
        phonon = phonon_of(crystal.atoms, self.supercell, self.distance)
        moved = [found[f'displaced {number}'].forces for number in range(len(displaced_cells(phonon)))]
        with_forces(phonon, moved).run_qpoints(np.array(self.q_points))
        rows = np.asarray(phonon.get_qpoints_dict()['frequencies'], dtype=np.float64)
        return [
            Quantity(f'f{branch}({" ".join(f"{q:g}" for q in point)})', float(value), 'THz')
            for point, row in zip(self.q_points, rows, strict=True)
            for branch, value in enumerate(np.sort(row), start=1)
        ]

    def limit(self, quantity: Quantity) -> Limit:
        """Return the absolute limit."""
        return Limit(absolute=self.error)
