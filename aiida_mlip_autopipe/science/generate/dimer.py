"""Pairs of atoms at many distances: the short-range wall that keeps MD from exploding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat, model_validator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.radii import covalent_radius
from aiida_mlip_autopipe.science.generate.strategy import Kind, Strategy, System

CONFIG_TYPE = 'dimer'

CLEARANCE = 6.0
"""Å, at the least between a dimer and its image."""


class Dimers(Strategy):
    """Two atoms in a box, for all pairs of elements, at distances in units of the sum of their covalent radii."""

    KIND: ClassVar[Kind] = Kind.FREE
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    HAS_VACUUM = True
    IS_BULK = False
    ORDER = 12

    count: int = Field(default=14, ge=2, description='distances for each pair, evenly spaced')
    distances: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.7, 2.0), description='shortest and longest in sums of the covalent radii, dimensionless'
    )
    box: PositiveFloat = Field(default=15.0, description='Å, edge of the cube')

    @model_validator(mode='after')
    def check_distances(self) -> Self:
        """Refuse a series that does not grow."""
        if self.distances[0] >= self.distances[1]:
            raise ValueError(f'distances must grow, got {list(self.distances)}')
        return self

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the dimers of all pairs, those of an element with itself included.

        :raises InputError: an element is unknown to the table of radii, or the box is too small.
        """
        largest = 2.0 * max(covalent_radius(element) for element in given.elements)
        if self.box < (needed := largest * self.distances[1] + CLEARANCE):
            raise InputError(f'dimer: box must be at least {needed:.2f} Å for {", ".join(given.elements)}, got {self.box}')
        for pair in itertools.combinations_with_replacement(given.elements, 2):
            touching = covalent_radius(pair[0]) + covalent_radius(pair[1])
            for factor in np.linspace(*self.distances, self.count).tolist():
                half = np.array([0.5 * factor * touching, 0.0, 0.0])
                centre = np.full(3, self.box / 2)
                atoms = Atoms(pair, positions=[centre - half, centre + half], cell=[self.box] * 3, pbc=True)
                yield fresh_atoms(
                    atoms, CONFIG_TYPE, origin_text('dimer', factor=round(factor, 6), distance=round(factor * touching, 6))
                )
