"""Formation energy of a vacancy in the crystal of an element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat

from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.quantity import Limit, Property, Quantity, Repeats, Result

PERFECT: Final = 'perfect'
VACANCY: Final = 'vacancy'
"""Parts: the supercell as it is, and without its first atom."""


class VacancyProperty(Property):
    """Formation energy of a vacancy in the crystals of one element.

    E_f = E(N - 1) - (N - 1) / N E(N), both in the same cell, so that their k-points are the same.
    """

    ORDER = 2
    IS_DEFAULT = True

    supercell: Repeats = Field(default=(3, 3, 3), description='repeats of the primitive cell, vacancy and perfect crystal alike')
    relax: bool = Field(
        default=True,
        description='let the potential relax the atoms around the vacancy, in the cell of its own equilibrium; the reference is '
        'the energy of the same relative positions in the cell of its own equilibrium. Without: the ideal positions, whose '
        'labels no later potential needs anew',
    )
    error: PositiveFloat = Field(default=0.1, le=10, description='eV, largest error of the formation energy')

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
