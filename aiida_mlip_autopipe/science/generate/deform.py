"""Strains along single directions and all over the six components: grids and a Sobol sequence."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal, get_args

import numpy as np
from ase import Atoms
from pydantic import Field, NonNegativeInt

from aiida_mlip_autopipe.common.ranges import Spread
from aiida_mlip_autopipe.science.generate.strain import strained
from aiida_mlip_autopipe.science.generate.strategy import OF, Kind, Of, Strategy

DIRECTIONS: Final = {
    'uniaxial': ((1, 0, 0, 0, 0, 0), (0, 1, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0)),
    'biaxial': ((1, 1, 0, 0, 0, 0), (0, 1, 1, 0, 0, 0), (1, 0, 1, 0, 0, 0)),
    'shear': ((0, 0, 0, 1, 0, 0), (0, 0, 0, 0, 1, 0), (0, 0, 0, 0, 0, 1)),
}
"""Voigt components of the unit strains of each kind."""

Component = Annotated[float, Field(gt=-1 / 3, lt=1 / 3)]
"""Below 1/3 I + ε is positive definite whatever the components are (Gershgorin)."""

VoigtName = Literal['xx', 'yy', 'zz', 'yz', 'xz', 'xy']


class Deform(Strategy):
    """A grid of strains along each axis or plane, and general ones that fill the six dimensions evenly."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({'strain'})
    ORDER = 101

    uniaxial: Annotated[tuple[Component, ...], Spread] = Field(
        default=(), description='strains along each of the three axes, dimensionless'
    )
    biaxial: Annotated[tuple[Component, ...], Spread] = Field(
        default=(), description='strains of each pair of axes alike, dimensionless'
    )
    shear: Annotated[tuple[Component, ...], Spread] = Field(
        default=(), description='off-diagonal components of the tensor, dimensionless'
    )
    grid: dict[VoigtName, Annotated[tuple[Component, ...], Spread]] = Field(
        default={}, description='components of the tensor by name, all of their combinations, dimensionless; the others are 0'
    )
    general: NonNegativeInt = Field(default=0, description='strains with six components')
    max_strain: float = Field(default=0.05, gt=0, lt=1 / 3, description='largest component of the general strains, dimensionless')
    of: Of = Field(default=None, description=OF)

    def compositions(self, counts: Counter[str]) -> list[Counter[str]]:
        """Return the composition of the parent, which stays."""
        return [counts]

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the strained structures of one parent."""
        for name, units in DIRECTIONS.items():
            for size in getattr(self, name):
                for unit in units:
                    yield strained(given, size * np.array(unit, dtype=np.float64), name)
        for sizes in itertools.product(*(self.grid.get(name, (0.0,)) for name in get_args(VoigtName))):
            if any(sizes):
                yield strained(given, np.array(sizes), 'grid')
        if self.general:
            from scipy.stats import qmc  # noqa: PLC0415  # a third of a second, which every reader of a configuration would pay

            points = qmc.Sobol(6, rng=rng).random_base2(int(np.ceil(np.log2(self.general))))[: self.general]
            for point in points:
                yield strained(given, self.max_strain * (2.0 * point - 1.0), 'sobol')
