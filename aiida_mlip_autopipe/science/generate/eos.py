"""The equation-of-state series: one structure at many volumes, from the repulsive to the expanded side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.strain import strained
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'eos'


@dataclass(frozen=True)
class EquationOfState:
    """The cell of the parent scaled alike along all axes, at evenly spaced volumes.

    :param count: number of volumes, at least 2.
    :param volumes: smallest and largest volume in units of the parent's.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int = 11
    volumes: tuple[float, float] = (0.8, 1.25)

    def __post_init__(self) -> None:
        """Refuse a series without two volumes."""
        low, high = self.volumes
        if self.count < 2 or not 0.0 < low < high < np.inf:
            raise InputError(f'eos: at least 2 volumes from a low to a high one are needed, got {self.count} in {self.volumes}')

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the parent at each volume."""
        for volume in np.linspace(*self.volumes, self.count).tolist():
            linear = volume ** (1 / 3) - 1.0
            yield strained(given, np.array([linear] * 3 + [0.0] * 3), f'volume {volume:.6g}', CONFIG_TYPE)
