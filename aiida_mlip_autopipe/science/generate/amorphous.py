"""Amorphous structures: random packings with minimum distances, over a range of densities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, Self

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from aiida_mlip_autopipe.common.composition import nearest_composition, whole_counts
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES
from aiida_mlip_autopipe.science.generate.ideal_lattices import parent_lattice
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.radii import covalent_radius
from aiida_mlip_autopipe.science.generate.strategy import Kind, Occupation, Strategy, System

CONFIG_TYPE = 'amorphous'

DENSEST: Final = 2.0
"""Of `densities`."""

MAX_SWEEPS = 2000
"""Relaxation sweeps before a packing is given up."""

OVERSHOOT = 1.05
"""Overlapping atoms are pushed to this multiple of their minimum distance, so that the sweeps end."""


class Amorphous(Strategy):
    """Random points in a cube, pushed apart until no two atoms are nearer than a fraction of the sum of their radii."""

    KIND: ClassVar[Kind] = Kind.FREE
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    IS_BULK = False
    ORDER = 14

    count: PositiveInt = Field(default=4, description='structures of each alloy')
    n_atoms: int = Field(default=32, ge=2, description='atoms in each')
    densities: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.8, 1.05), description='lowest and highest density in units of the crystal, dimensionless'
    )
    min_distance: float = Field(default=0.75, gt=0, lt=1.5, description='in sums of the covalent radii, dimensionless')

    @model_validator(mode='after')
    def check_densities(self) -> Self:
        """Refuse densities that fall, or that nothing can be packed to."""
        if not self.densities[0] <= self.densities[1] < DENSEST:
            raise ValueError(f'densities must not fall, and be below {DENSEST:g}, got {list(self.densities)}')
        return self

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the packings of each alloy.

        :raises InputError: atoms so many and so large cannot be kept apart.
        """
        for occupation in given.alloys:
            crystal = parent_lattice(given.prototype, occupation, given.lattice_parameters, (1, 1, 1))
            volume = crystal.get_volume() / len(crystal)
            fractions = mean_composition(given.prototype, occupation)
            counts = whole_counts(nearest_composition(fractions, self.n_atoms), self.n_atoms)
            symbols = [element for element, number in counts.items() for _ in range(number)]
            for _ in range(self.count):
                density = float(rng.uniform(*self.densities))
                yield self._packed(symbols, (self.n_atoms * volume / density) ** (1 / 3), density, rng)

    def _packed(self, symbols: list[str], edge: float, density: float, rng: np.random.Generator) -> Atoms:
        radii = self.min_distance * np.array([covalent_radius(symbol) for symbol in symbols])
        positions = rng.random((len(symbols), 3)) * edge
        cell = edge * np.eye(3)
        for _ in range(MAX_SWEEPS):
            overlaps = _overlaps(positions, cell, radii)
            if not len(overlaps[0]):
                atoms = Atoms(symbols, positions=positions % edge, cell=cell, pbc=True)
                told = origin_text('amorphous', density=round(density, 6), min_distance=self.min_distance)
                return fresh_atoms(atoms, CONFIG_TYPE, told)
            positions = positions + _pushes(len(symbols), overlaps, radii)
        raise InputError(
            f'amorphous: {len(symbols)} atoms in a cube of {edge:.2f} Å cannot be kept {self.min_distance} times the sum of '
            'their radii apart; lower min_distance or densities'
        )


def mean_composition(prototype: str, occupation: Occupation) -> dict[str, float]:
    """Return the fraction of each element among all sites of the crystal."""
    labels = PROTOTYPES[prototype].sublattices
    total: dict[str, float] = {}
    for index, part in enumerate(occupation):
        for element, fraction in part.items():
            total[element] = total.get(element, 0.0) + fraction * labels.count(index) / len(labels)
    return total


def _overlaps(positions: FloatArray, cell: FloatArray, radii: FloatArray) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Return the first atom, distance, vector and smallest distance of each pair that is too near."""
    first, second, distances, vectors = neighbour_list(
        'ijdD', positions=positions, cell=cell, pbc=[True] * 3, cutoff=2.0 * float(radii.max())
    )
    limits = radii[first] + radii[second]
    near = distances < limits
    return first[near], distances[near], vectors[near], limits[near]


def _pushes(n_atoms: int, overlaps: tuple[IntArray, FloatArray, FloatArray, FloatArray], radii: FloatArray) -> FloatArray:
    """Return displacements that take each pair half of what it lacks apart, Å, shape (n_atoms, 3)."""
    first, distances, vectors, limits = overlaps
    lacking = 0.5 * (OVERSHOOT * limits - distances) / np.maximum(distances, 1e-6)
    pushes = np.zeros((n_atoms, 3))
    np.add.at(pushes, first, -lacking[:, None] * vectors)
    return pushes
