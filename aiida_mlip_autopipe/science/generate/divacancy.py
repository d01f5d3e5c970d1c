"""Structures from which two neighbouring atoms are missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from pydantic import Field, PositiveInt

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.concentration import number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import CONCENTRATION, OF, Concentration, Kind, Of, Strategy

CONFIG_TYPE = 'divacancy'


class Divacancies(Strategy):
    """Structures without one or more random pairs of neighbours."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 107

    count: PositiveInt = Field(default=1, description='structures for each base structure')
    per_cell: PositiveInt = Field(default=1, description='pairs taken out of each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    reach: float = Field(default=1.1, ge=1, description='longest distance of the pair in shortest distances, dimensionless')
    of: Of = Field(default=None, description=OF)

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with a divacancy.

        :raises InputError: no atom would be left, or there are not so many separate pairs.
        """
        wanted = number_of_defects(len(given), self.per_cell, self.concentration)
        if len(given) <= 2 * wanted:
            raise InputError(
                f'divacancy: {2 * wanted} of the {len(given)} atoms of {given.symbols} cannot be removed; at least one must '
                'stay: repeat the cell, or name other parents (of)'
            )
        pairs = self._pairs(given) if self.count else []
        for _ in range(self.count if len(pairs) else 0):
            sites = _separate(pairs, wanted, rng)
            if sites is None:
                raise InputError(f'divacancy: {given.symbols} has no {wanted} separate pairs of neighbours')
            yield fresh_atoms(
                given,
                CONFIG_TYPE,
                origin_text('divacancy', sites=sites),
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


def _separate(pairs: list[tuple[int, int]], wanted: int, rng: np.random.Generator) -> list[int] | None:
    """Return the atoms of pairs without an atom in common, drawn at random, or None where so many are not found."""
    gone: list[int] = []
    for index in rng.permutation(len(pairs)).tolist():
        if not set(pairs[index]) & set(gone):
            gone += pairs[index]
        if len(gone) == 2 * wanted:
            return gone
    return None
