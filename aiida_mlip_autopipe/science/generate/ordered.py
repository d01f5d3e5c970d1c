"""Ordered compounds of the elements of an alloy: the limit opposite to the random solution."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from ase import Atoms
from pydantic import Field, field_validator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import ON_LATTICE, PROTOTYPES, TWO_SUBLATTICES, PrototypeName
from aiida_mlip_autopipe.science.generate.ideal_lattices import vegard_parameter
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Repeats, Strategy, System

CONFIG_TYPE = 'ordered'


class Ordered(Strategy):
    """Compounds of each two elements of the system, both ways round, with the volume for each site that the alloy would have."""

    KIND: ClassVar[Kind] = Kind.FREE
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 1

    prototypes: tuple[PrototypeName, ...] = Field(
        default=(),
        description='prototypes with two sublattices; none: those of the lattice (fcc: L1_0, L1_2, D0_22; bcc: B2, D0_3; '
        'hcp: D0_19; sc: B1; diamond: B3)',
    )
    supercell: Repeats = Field(default=(2, 2, 2), description='repeats of the primitive cell of the compound')

    @field_validator('prototypes')
    @classmethod
    def check_prototypes(cls, value: tuple[PrototypeName, ...]) -> tuple[PrototypeName, ...]:
        """Refuse prototypes that no pair of elements fills."""
        if wrong := [name for name in value if PROTOTYPES[name].n_sublattices != 2]:
            raise ValueError(f'{wrong} have no two sublattices; allowed are {", ".join(TWO_SUBLATTICES)}')
        return value

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
