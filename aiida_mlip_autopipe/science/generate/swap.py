"""Alloys in which atoms of different elements changed places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveInt

from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.science.generate.concentration import number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import CONCENTRATION, OF, Concentration, Kind, Of, Strategy

CONFIG_TYPE = 'swap'


class Swaps(Strategy):
    """Pairs of atoms of different elements that change places: the composition stays."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 110

    count: PositiveInt = Field(default=1, description='structures for each base structure; none of a pure element')
    per_cell: PositiveInt = Field(default=1, description='pairs swapped in each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    of: Of = Field(default=None, description=OF)

    def compositions(self, counts: Counter[str]) -> list[Counter[str]]:
        """Return the composition of the parent, which stays."""
        return [counts]

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
