"""Alloys in which atoms of different elements changed places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.concentration import check_number, number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'swap'


@dataclass(frozen=True)
class Swaps:
    """Pairs of atoms of different elements that change places: the composition stays.

    :param count: number of structures for each base; none of a pure element.
    :param per_cell: pairs swapped in each.
    :param concentration: defects for each atom, in place of `per_cell`, see :func:`number_of_defects`.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    per_cell: int = 1
    concentration: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts below their bounds."""
        if self.count < 0:
            raise InputError(f'swap: count >= 0 is needed, got {self.count}')
        check_number('swap', self.per_cell, self.concentration)

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with swapped atoms."""
        if len(np.unique(given.numbers)) < 2:
            return
        swapped = number_of_defects(len(given), self.per_cell, self.concentration)
        for _ in range(self.count):
            numbers, pairs = given.numbers.copy(), []
            for _ in range(swapped):
                first = int(rng.integers(len(numbers)))
                second = int(rng.choice(np.flatnonzero(numbers != numbers[first])))
                numbers[[first, second]] = numbers[[second, first]]
                pairs.append([first, second])
            yield fresh_atoms(given, CONFIG_TYPE, origin_text('swap', pairs=pairs), numbers=numbers)
