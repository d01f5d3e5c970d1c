"""Pairs of atoms at many distances: the short-range wall that keeps MD from exploding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.radii import covalent_radius
from aiida_mlip_autopipe.science.generate.strategy import Kind, System

CONFIG_TYPE = 'dimer'

CLEARANCE = 6.0
"""Å, at the least between a dimer and its image."""


@dataclass(frozen=True)
class Dimers:
    """Two atoms in a box, for all pairs of elements, at distances in units of the sum of their covalent radii.

    :param count: distances for each pair, at least 2.
    :param distances: shortest and longest, dimensionless.
    :param box: edge of the cube, Å; longer than the longest dimer by :data:`CLEARANCE`.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FREE

    count: int = 14
    distances: tuple[float, float] = (0.7, 2.0)
    box: float = 15.0

    def __post_init__(self) -> None:
        """Refuse a series without two distances."""
        low, high = self.distances
        if self.count < 2 or not 0.0 < low < high < np.inf:
            raise InputError(
                f'dimer: at least 2 distances from a short to a long one are needed, got {self.count} in {self.distances}'
            )

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
