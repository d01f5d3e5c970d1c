"""Bases that a configuration writes out: a list of crystals, as from a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, Self

import numpy as np
from ase import Atoms
from pydantic import Field, model_validator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.settings import Element, Settings
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Repeats, Strategy, System

CONFIG_TYPE = 'cell'

SMALLEST_VOLUME: Final = 1e-3
"""Å³, below which a cell is flat."""

Vector = tuple[float, float, float]


class Crystal(Settings):
    """One crystal, written out."""

    name: str = Field(default='', description='such as the identifier in a database')
    symbols: tuple[Element, ...] = Field(min_length=1, description='chemical symbols, one for each atom')
    cell: tuple[Vector, Vector, Vector] = Field(description='Å, lattice vectors as rows')
    scaled_positions: tuple[Vector, ...] = Field(min_length=1, description='in units of the lattice vectors, one for each atom')

    @model_validator(mode='after')
    def check_numbers(self) -> Self:
        """Refuse positions without atoms, and a cell without volume."""
        if len(self.symbols) != len(self.scaled_positions):
            raise ValueError(f'symbols are {len(self.symbols)}, scaled_positions are {len(self.scaled_positions)}')
        if abs(np.linalg.det(np.array(self.cell))) < SMALLEST_VOLUME:
            raise ValueError(f'cell has no volume: {self.cell}')
        return self


class Cells(Strategy):
    """Crystals that are given, repeated."""

    KIND: ClassVar[Kind] = Kind.FREE
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 3

    cells: tuple[Crystal, ...] = Field(min_length=1, description='crystals, each with symbols, cell and scaled_positions')
    supercells: tuple[Repeats, ...] = Field(default=((1, 1, 1),), min_length=1, description='repeats of each crystal')

    def at_least(self, n_parents: int) -> int:
        """Return one for each crystal."""
        return len(self.cells)

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the crystals.

        :raises InputError: a crystal has an element that the system does not list.
        """
        for index, crystal in enumerate(self.cells):
            if unknown := sorted(set(crystal.symbols) - set(given.elements)):
                raise InputError(f'cells, crystal {index}: has {unknown}, which elements {list(given.elements)} does not list')
            atoms = Atoms(list(crystal.symbols), cell=np.array(crystal.cell), scaled_positions=crystal.scaled_positions, pbc=True)
            for supercell in self.supercells:
                told = origin_text('cells', name=crystal.name, index=index, supercell=list(supercell))
                yield fresh_atoms(atoms.repeat(supercell), CONFIG_TYPE, told)
