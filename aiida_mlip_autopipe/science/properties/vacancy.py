"""Formation energy of a vacancy in the crystal of an element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.quantity import Limit, Quantity, Result

PERFECT: Final = 'perfect'
VACANCY: Final = 'vacancy'
"""Parts: the supercell as it is, and without its first atom."""


@dataclass(frozen=True)
class VacancyProperty:
    """E_f = E(N - 1) - (N - 1) / N E(N), both in the same cell, so that their k-points are the same.

    :param supercell: repeats of the primitive cell.
    :param error: eV.
    """

    supercell: tuple[int, int, int]
    error: float

    def applies(self, crystal: Crystal) -> bool:
        """Only a crystal of one element: in a compound the energy depends on where the atom goes to."""
        return crystal.is_element

    def frames(self, crystal: Crystal) -> dict[str, Atoms]:
        """Return the supercell with and without its first atom, its atoms at their ideal places."""
        perfect = crystal.atoms.repeat(self.supercell)
        vacancy = perfect.copy()
        del vacancy[0]
        return {PERFECT: perfect, VACANCY: vacancy}

    def quantities(self, crystal: Crystal, found: Mapping[str, Result]) -> list[Quantity]:
        """Return the formation energy."""
        perfect, vacancy = found[PERFECT], found[VACANCY]
        energy = vacancy.energy - perfect.energy * len(vacancy.atoms) / len(perfect.atoms)
        return [Quantity('E_vacancy', float(energy), 'eV')]

    def limit(self, quantity: Quantity) -> Limit:
        """Return the absolute limit."""
        return Limit(absolute=self.error)


def with_places_of(atoms: Atoms, relaxed: Atoms) -> Atoms:
    """Return a structure with the relative positions of another of the same atoms in the same order, moved as a whole back.

    A relaxation may shift all atoms together, which no energy notices, but which would make a label of the same structure new.
    """
    scaled = relaxed.get_scaled_positions(wrap=False) - atoms.get_scaled_positions(wrap=False)
    moves = scaled - np.rint(scaled)
    changed = atoms.copy()
    changed.set_scaled_positions(atoms.get_scaled_positions(wrap=False) + moves - moves.mean(axis=0))
    return changed
