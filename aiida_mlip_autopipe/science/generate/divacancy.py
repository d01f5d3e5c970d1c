"""Structures from which two neighbouring atoms are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.concentration import check_number, number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'divacancy'


@dataclass(frozen=True)
class Divacancies:
    """Structures without one or more random pairs of neighbours.

    :param count: number of structures for each base.
    :param per_cell: pairs missing in each.
    :param concentration: pairs for each atom, in place of `per_cell`, see :func:`number_of_defects`.
    :param reach: longest distance of the pair in units of the shortest distance of the parent: 1.1 for nearest neighbours.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    reach: float = 1.1
    per_cell: int = 1
    concentration: float | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.count < 0 or not 1.0 <= self.reach < np.inf:
            raise InputError(f'divacancy: count >= 0 and reach >= 1 are needed, got {self.count} and {self.reach}')
        check_number('divacancy', self.per_cell, self.concentration)

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
