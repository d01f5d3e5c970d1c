"""Frequencies of the phonons of a crystal at a few q-points, by phonopy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.force_constants import displaced_cells, phonon_of, with_forces
from aiida_mlip_autopipe.science.properties.quantity import Limit, Quantity, Result

Point = tuple[float, float, float]


@dataclass(frozen=True)
class PhononsProperty:
    """Frequencies from finite displacements in a supercell; an imaginary one is negative. Without the long-range part of ions.

    :param supercell: repeats of the primitive cell.
    :param distance: Å, length of a displacement.
    :param q_points: in units of the reciprocal vectors of the primitive cell.
    :param error: THz.
    """

    supercell: tuple[int, int, int]
    distance: float
    q_points: tuple[Point, ...]
    error: float

    def applies(self, crystal: Crystal) -> bool:
        """Every crystal vibrates."""
        return True

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
