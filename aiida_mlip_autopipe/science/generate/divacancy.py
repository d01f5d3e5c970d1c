"""Structures from which two neighbouring atoms are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'divacancy'


@dataclass(frozen=True)
class Divacancies:
    """Structures without a random pair of neighbours.

    :param count: number of structures for each base.
    :param reach: longest distance of the pair in units of the shortest distance of the parent: 1.1 for nearest neighbours.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    reach: float = 1.1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.count < 0 or not 1.0 <= self.reach < np.inf:
            raise InputError(f'divacancy: count >= 0 and reach >= 1 are needed, got {self.count} and {self.reach}')

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with a divacancy.

        :raises InputError: the parent has fewer than three atoms.
        """
        if len(given) < 3:
            raise InputError(f'divacancy: {given.symbols} has {len(given)} atoms; at least 3 are needed, for one must stay')
        pairs = self._pairs(given) if self.count else []
        for _ in range(self.count if len(pairs) else 0):
            sites = pairs[int(rng.integers(len(pairs)))]
            yield fresh_atoms(
                given,
                CONFIG_TYPE,
                origin_text('divacancy', sites=list(sites)),
                numbers=np.delete(given.numbers, sites),
                positions=np.delete(given.positions, sites, axis=0),
            )

    def _pairs(self, atoms: Atoms) -> list[tuple[int, int]]:
        """Return the pairs of different atoms within reach; none where every atom neighbours only its own images."""
        distances = atoms.get_all_distances(mic=True)
        np.fill_diagonal(distances, np.inf)
        limit = self.reach * float(distances.min())
        first, second = neighbour_list('ij', positions=atoms.positions, cell=atoms.cell.array, pbc=atoms.pbc, cutoff=limit)
        return sorted({(int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j})
