"""Strains along single directions and all over the six components: grids and a Sobol sequence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
from ase import Atoms
from scipy.stats import qmc

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.strain import VOIGT, strained
from aiida_mlip_autopipe.science.generate.strategy import Kind

DIRECTIONS: Final = {
    'uniaxial': ((1, 0, 0, 0, 0, 0), (0, 1, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0)),
    'biaxial': ((1, 1, 0, 0, 0, 0), (0, 1, 1, 0, 0, 0), (1, 0, 1, 0, 0, 0)),
    'shear': ((0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 1, 0), (0, 0, 0, 0, 0, 1)),
}
"""Voigt components of the unit strains of each kind."""

LARGEST = 1.0 / 3.0
"""Below it I + ε is positive definite whatever the components are (Gershgorin)."""


@dataclass(frozen=True)
class Deform:
    """A grid of strains along each axis or plane, and general ones that fill the six dimensions evenly.

    :param uniaxial: strains h along one axis, each of the three, dimensionless, between -1/3 and 1/3.
    :param biaxial: strains of two axes alike, each of the three pairs.
    :param shear: off-diagonal components of the tensor, each of the three planes.
    :param grid: strains by name of the component (:data:`VOIGT`): all combinations, but for no strain at all.
    :param general: number of strains with six components from a scrambled Sobol sequence.
    :param max_strain: bound of their components.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    uniaxial: tuple[float, ...] = ()
    biaxial: tuple[float, ...] = ()
    shear: tuple[float, ...] = ()
    grid: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    general: int = 0
    max_strain: float = 0.05

    def __post_init__(self) -> None:
        """Refuse values that could turn a cell inside out."""
        for name, sizes in {**{name: getattr(self, name) for name in DIRECTIONS}, **self.grid}.items():
            for size in sizes:
                if not -LARGEST < size < LARGEST:
                    raise InputError(f'deform: {name} strains must lie in -1/3..1/3, got {size}; larger ones invert a cell')
        if unknown := sorted(set(self.grid) - set(VOIGT)):
            raise InputError(f'deform: grid has {unknown}; the components are {", ".join(VOIGT)}')
        if self.general < 0 or not 0.0 <= self.max_strain < LARGEST:
            raise InputError(
                f'deform: general >= 0 and max_strain in 0..1/3 are needed, got {self.general} and {self.max_strain}'
            )

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the strained structures of one parent."""
        for name, units in DIRECTIONS.items():
            for size in getattr(self, name):
                for unit in units:
                    yield strained(given, size * np.array(unit, dtype=np.float64), name)
        for sizes in itertools.product(*(self.grid.get(name, (0.0,)) for name in VOIGT)):
            if any(sizes):
                yield strained(given, np.array(sizes), 'grid')
        if self.general:
            points = qmc.Sobol(6, rng=rng).random_base2(int(np.ceil(np.log2(self.general))))[: self.general]
            for point in points:
                yield strained(given, self.max_strain * (2.0 * point - 1.0), 'sobol')
