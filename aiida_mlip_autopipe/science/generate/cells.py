"""Bases that a configuration writes out: a list of crystals, as from a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Supercell, System

CONFIG_TYPE = 'cell'


@dataclass(frozen=True)
class Cells:
    """Crystals that are given, repeated.

    :param cells: each with `symbols`, `cell` (Å, lattice vectors as rows), `scaled_positions`, and a `name`.
    :param supercells: repeats of each.
    """

    KIND: ClassVar[Kind] = Kind.FREE

    cells: tuple[Mapping[str, Any], ...]
    supercells: tuple[Supercell, ...] = ((1, 1, 1),)

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the crystals.

        :raises InputError: a crystal has an element that the system does not list.
        """
        for index, crystal in enumerate(self.cells):
            if unknown := sorted(set(crystal['symbols']) - set(given.elements)):
                raise InputError(f'cells, crystal {index}: has {unknown}, which elements {list(given.elements)} does not list')
            atoms = Atoms(
                crystal['symbols'], cell=np.array(crystal['cell']), scaled_positions=crystal['scaled_positions'], pbc=True
            )
            for supercell in self.supercells:
                told = origin_text('cells', name=crystal.get('name', ''), index=index, supercell=list(supercell))
                yield fresh_atoms(atoms.repeat(supercell), CONFIG_TYPE, told)
