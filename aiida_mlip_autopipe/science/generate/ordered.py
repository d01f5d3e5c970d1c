"""Ordered compounds of the elements of an alloy: the limit opposite to the random solution."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES
from aiida_mlip_autopipe.science.generate.bases import vegard_parameter
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Supercell, System

CONFIG_TYPE = 'ordered'

ON_LATTICE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {'fcc': ('L1_0', 'L1_2', 'D0_22'), 'bcc': ('B2', 'D0_3'), 'hcp': ('D0_19',), 'sc': ('B1',), 'diamond': ('B3',)}
)
"""Ordered prototypes whose sites are those of a lattice."""


@dataclass(frozen=True)
class Ordered:
    """Compounds of each two elements of the system, both ways round, with the volume for each site that the alloy would have.

    :param prototypes: with two sublattices; none: those of the lattice, :data:`ON_LATTICE`.
    :param supercell: repeats of the primitive cell.
    :raises InputError: a prototype is unknown or has not two sublattices.
    """

    KIND: ClassVar[Kind] = Kind.FREE

    prototypes: tuple[str, ...] = ()
    supercell: Supercell = (2, 2, 2)

    def __post_init__(self) -> None:
        """Refuse prototypes that no pair of elements fills."""
        for name in self.prototypes:
            if name not in PROTOTYPES or PROTOTYPES[name].n_sublattices != 2:
                allowed = [known for known, crystal in PROTOTYPES.items() if crystal.n_sublattices == 2]
                raise InputError(f'ordered: prototypes must have two sublattices, got {name!r}; allowed are {", ".join(allowed)}')

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the compounds; none of a pure element.

        :raises InputError: the system has several sublattices, so that its alloys are not ordered by a pair of elements.
        """
        if given.prototype not in ON_LATTICE:
            raise InputError(f'ordered: system.prototype must be one of {", ".join(ON_LATTICE)}, got {given.prototype!r}')
        for name in self.prototypes or ON_LATTICE[given.prototype]:
            for pair in itertools.permutations(given.elements, 2):
                yield self._compound(given, name, pair)

    def _compound(self, system: System, name: str, pair: tuple[str, str]) -> Atoms:
        crystal, parent = PROTOTYPES[name], PROTOTYPES[system.prototype]
        symbols = [pair[index] for index in crystal.sublattices]
        fractions = {element: symbols.count(element) / len(symbols) for element in pair}
        a = vegard_parameter(fractions, system.lattice_parameters, system.prototype)
        site = a**3 * abs(np.linalg.det(np.array(parent.cell))) / len(parent.sites)
        size = (site * len(symbols) / abs(np.linalg.det(np.array(crystal.cell)))) ** (1 / 3)
        cell = Atoms(symbols, cell=size * np.array(crystal.cell), scaled_positions=crystal.sites, pbc=True)
        told = origin_text('ordered', prototype=name, elements=list(pair), supercell=list(self.supercell))
        return fresh_atoms(cell.repeat(self.supercell), CONFIG_TYPE, told)
