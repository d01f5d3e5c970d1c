"""Alloys in which atoms became another element."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from aiida_mlip_autopipe.science.generate.concentration import check_count, check_number, number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'antisite'


@dataclass(frozen=True)
class Antisites:
    """Atoms that take another of the elements of the parent: the composition changes.

    :param count: number of structures for each base; none of a pure element.
    :param per_cell: atoms changed in each.
    :param concentration: defects for each atom, in place of `per_cell`, see :func:`number_of_defects`.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    per_cell: int = 1
    concentration: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts below their bounds."""
        check_count('antisite', self.count)
        check_number('antisite', self.per_cell, self.concentration)

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with antisites."""
        kinds = np.unique(given.numbers)
        if len(kinds) < 2:
            return
        changed = min(number_of_defects(len(given), self.per_cell, self.concentration), len(given))
        for _ in range(self.count):
            sites = np.sort(rng.choice(len(given), size=changed, replace=False))
            numbers = given.numbers.copy()
            for site in sites:
                numbers[site] = rng.choice(kinds[kinds != numbers[site]])
            told = {'sites': sites.tolist(), 'elements': [chemical_symbols[z] for z in numbers[sites]]}
            yield fresh_atoms(given, CONFIG_TYPE, origin_text('antisite', **told), numbers=numbers)
