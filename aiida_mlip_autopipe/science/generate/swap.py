"""Alloys in which atoms of different elements changed places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.science.generate.concentration import check_count, check_number, number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'swap'


@dataclass(frozen=True)
class Swaps:
    """Pairs of atoms of different elements that change places: the composition stays.

    :param count: number of structures for each base; none of a pure element.
    :param per_cell: pairs swapped in each, no atom twice; fewer where the cell has not so many.
    :param concentration: defects for each atom, in place of `per_cell`, see :func:`number_of_defects`.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    per_cell: int = 1
    concentration: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts below their bounds."""
        check_count('swap', self.count)
        check_number('swap', self.per_cell, self.concentration)

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with swapped atoms."""
        if len(np.unique(given.numbers)) < 2:
            return
        swapped = number_of_defects(len(given), self.per_cell, self.concentration)
        for _ in range(self.count):
            pairs = _separate_pairs(given.numbers, swapped, rng)
            numbers = given.numbers.copy()
            for first, second in pairs:
                numbers[[first, second]] = numbers[[second, first]]
            yield fresh_atoms(given, CONFIG_TYPE, origin_text('swap', pairs=pairs), numbers=numbers)


def _separate_pairs(numbers: IntArray, wanted: int, rng: np.random.Generator) -> list[list[int]]:
    """Return pairs of atoms of different elements, no atom in two of them, as many as wanted or as there are."""
    free = np.ones(len(numbers), dtype=bool)
    pairs: list[list[int]] = []
    while len(pairs) < wanted and len(np.unique(numbers[free])) > 1:
        first = int(rng.choice(np.flatnonzero(free)))
        second = int(rng.choice(np.flatnonzero(free & (numbers != numbers[first]))))
        free[[first, second]] = False
        pairs.append([first, second])
    return pairs
