"""Alloys in which atoms of different elements changed places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'swap'


@dataclass(frozen=True)
class Swaps:
    """Pairs of atoms of different elements that change places: the composition stays.

    :param count: number of structures for each base; none of a pure element.
    :param per_cell: pairs swapped in each.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    per_cell: int = 1

    def __post_init__(self) -> None:
        """Refuse counts below their bounds."""
        if self.count < 0 or self.per_cell < 1:
            raise InputError(f'swap: count >= 0 and per_cell >= 1 are needed, got {self.count} and {self.per_cell}')

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with swapped atoms."""
        if len(np.unique(given.numbers)) < 2:
            return
        for _ in range(self.count):
            numbers, pairs = given.numbers.copy(), []
            for _ in range(self.per_cell):
                first = int(rng.integers(len(numbers)))
                second = int(rng.choice(np.flatnonzero(numbers != numbers[first])))
                numbers[[first, second]] = numbers[[second, first]]
                pairs.append([first, second])
            yield fresh_atoms(given, CONFIG_TYPE, origin_text('swap', pairs=pairs), numbers=numbers)
