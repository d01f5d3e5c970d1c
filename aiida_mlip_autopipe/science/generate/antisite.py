"""Alloys in which atoms became another element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from pydantic import Field, PositiveInt

from aiida_mlip_autopipe.science.generate.concentration import number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import CONCENTRATION, OF, Concentration, Kind, Of, Strategy

CONFIG_TYPE = 'antisite'


class Antisites(Strategy):
    """Atoms that take another of the elements of the parent: the composition changes."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 109

    count: PositiveInt = Field(default=1, description='structures for each base structure; none of a pure element')
    per_cell: PositiveInt = Field(default=1, description='atoms changed in each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    of: Of = Field(default=None, description=OF)

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
