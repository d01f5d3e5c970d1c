"""Energy of the ideal surfaces of a crystal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from ase.build import surface

from aiida_mlip_autopipe.common.units import JOULE_PER_M2
from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.quantity import Limit, Quantity, Result

BULK: Final = 'bulk'

Miller = tuple[int, int, int]


@dataclass(frozen=True)
class SurfaceProperty:
    """E_surface = (E_slab - N E_bulk / N_bulk) / 2A, mean of both sides of a slab with its atoms at their ideal places.

    :param millers: Miller indices, of the conventional cell.
    :param layers: periods along the normal.
    :param vacuum: Å.
    :param error: J/m².
    """

    millers: tuple[Miller, ...]
    layers: int
    vacuum: float
    error: float

    def applies(self, crystal: Crystal) -> bool:
        """Every crystal can be cut."""
        return True

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
