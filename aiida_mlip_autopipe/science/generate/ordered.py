"""Ordered compounds of the elements of an alloy: the limit opposite to the random solution."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import ON_LATTICE, PROTOTYPES
from aiida_mlip_autopipe.science.generate.bases import vegard_parameter
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Supercell, System

CONFIG_TYPE = 'ordered'


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
                told = origin_text('ordered', prototype=name, elements=list(pair), supercell=list(self.supercell))
                yield fresh_atoms(compound(given, name, pair).repeat(self.supercell), CONFIG_TYPE, told)


def compound(system: System, name: str, pair: tuple[str, str]) -> Atoms:
    """Return the primitive cell of a compound, with the volume for each site that the alloy of its composition would have.

    :param name: of the prototype.
    :param pair: elements of its two sublattices.
    :raises InputError: an element has no usable lattice parameter.
    """
    crystal, parent = PROTOTYPES[name], PROTOTYPES[system.prototype]
    symbols = [pair[index] for index in crystal.sublattices]
    fractions = {element: symbols.count(element) / len(symbols) for element in pair}
    a = vegard_parameter(fractions, system.lattice_parameters, system.prototype)
    site = a**3 * abs(np.linalg.det(np.array(parent.cell))) / len(parent.sites)
    size = (site * len(symbols) / abs(np.linalg.det(np.array(crystal.cell)))) ** (1 / 3)
    return Atoms(symbols, cell=size * np.array(crystal.cell), scaled_positions=crystal.sites, pbc=True)
