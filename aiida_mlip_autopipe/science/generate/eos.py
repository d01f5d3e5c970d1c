"""The equation-of-state series: one structure at many volumes, from the repulsive to the expanded side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Self

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat, model_validator

from aiida_mlip_autopipe.science.generate.strain import strained
from aiida_mlip_autopipe.science.generate.strategy import OF, Kind, Of, Strategy

CONFIG_TYPE = 'eos'


class EquationOfState(Strategy):
    """The cell of the parent scaled alike along all axes, at evenly spaced volumes."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 102

    count: int = Field(default=11, ge=2, description='volumes, evenly spaced')
    volumes: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.8, 1.25), description='smallest and largest volume in units of that of the base, dimensionless'
    )
    of: Of = Field(default=None, description=OF)

    @model_validator(mode='after')
    def check_volumes(self) -> Self:
        """Refuse a series that does not grow."""
        if self.volumes[0] >= self.volumes[1]:
            raise ValueError(f'volumes must grow, got {list(self.volumes)}')
        return self

    def at_least(self, n_parents: int) -> int:
        """Return all but one for each base: one of them may be the base itself."""
        return 0 if self.of else n_parents * (self.count - 1)

    def compositions(self, counts: Counter[str]) -> list[Counter[str]]:
        """Return the composition of the parent, which stays."""
        return [counts]

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the parent at each volume."""
        for volume in np.linspace(*self.volumes, self.count).tolist():
            linear = volume ** (1 / 3) - 1.0
            yield strained(given, np.array([linear] * 3 + [0.0] * 3), f'volume {volume:.6g}', CONFIG_TYPE)
