"""Energy of the ideal surfaces of a crystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from ase import Atoms
from ase.build import surface
from pydantic import Field, PositiveFloat, field_validator

from aiida_mlip_autopipe.common.units import JOULE_PER_M2
from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.quantity import Limit, Property, Quantity, Result

BULK: Final = 'bulk'

Miller = tuple[int, int, int]


class SurfaceProperty(Property):
    """Energy of ideal surfaces, mean of both sides of a slab.

    E_surface = (E_slab - N E_bulk / N_bulk) / 2A; the atoms of the slab are at their ideal places.
    """

    ORDER = 3

    millers: list[Miller] = Field(
        default=[(1, 1, 1)], min_length=1, description='Miller indices, of the conventional cell of the crystal'
    )
    layers: int = Field(default=3, ge=1, le=50, description='thickness in periods along the normal')
    vacuum: float = Field(default=10.0, ge=4, le=60, description='Å, between the slab and its image')
    error: PositiveFloat = Field(default=0.1, le=10, description='J/m², largest error of a surface energy')

    @field_validator('millers')
    @classmethod
    def check_millers(cls, value: list[Miller]) -> list[Miller]:
        """Refuse a direction that is none."""
        if not all(any(miller) for miller in value):
            raise ValueError('the three indices of a surface must not all be 0')
        return value

    def frames(self, crystal: Crystal) -> dict[str, Atoms]:
        """Return the crystal itself and a slab of each surface."""
        cell = crystal.conventional()
        slabs = {_part(m): surface(cell, m, self.layers, vacuum=self.vacuum / 2, periodic=True) for m in self.millers}
        return {BULK: crystal.atoms, **slabs}

    def quantities(self, crystal: Crystal, found: Mapping[str, Result]) -> list[Quantity]:
        """Return the energy of each surface."""
        bulk = found[BULK].energy / len(found[BULK].atoms)
        return [
            Quantity(f'E_surface{_part(miller)}', _energy(found[_part(miller)], bulk) / JOULE_PER_M2, 'J/m²')
            for miller in self.millers
        ]

    def limit(self, quantity: Quantity) -> Limit:
        """Return the absolute limit."""
        return Limit(absolute=self.error)


def _energy(slab: Result, bulk: float) -> float:
    """Return the energy of a surface, eV/Å²; `bulk` is in eV/atom."""
    a, b, _ = slab.atoms.cell.array
    return float((slab.energy - len(slab.atoms) * bulk) / (2.0 * np.linalg.norm(np.cross(a, b))))


def _part(miller: Miller) -> str:
    return f'({" ".join(map(str, miller))})'
