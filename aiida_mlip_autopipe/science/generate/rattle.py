"""Random displacements of all atoms of a structure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text

CONFIG_TYPE = 'rattle'


@dataclass(frozen=True)
class Rattle:
    """Normally distributed displacements without a common drift, so that a cell of one atom stays as it is.

    :param count: number of structures.
    :param stdev: standard deviation of each component of a displacement, Å.
    :raises InputError: a value is out of range.
    """

    count: int
    stdev: float

    def __post_init__(self) -> None:
        """Refuse negative values."""
        if self.count < 0:
            raise InputError(f'rattle: count must be at least 0, got {self.count}')
        if not 0.0 <= self.stdev < np.inf:
            raise InputError(f'rattle: stdev must be at least 0 Å, got {self.stdev}')

    def __call__(self, atoms: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield `count` rattled structures of the same cell.

        :param atoms: the structure to rattle.
        """
        for _ in range(self.count):
            yield self.one(atoms, rng)

    def one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Return one rattled structure."""
        displacements = rng.normal(scale=self.stdev, size=(len(atoms), 3))
        positions = atoms.positions + displacements - displacements.mean(axis=0)
        return fresh_atoms(atoms, CONFIG_TYPE, origin_text('rattle', stdev=self.stdev), positions=positions)
