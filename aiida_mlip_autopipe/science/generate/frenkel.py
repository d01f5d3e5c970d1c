"""Frenkel pairs: an atom that left its site for an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from ase import Atoms
from pydantic import Field, NonNegativeFloat, PositiveInt

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.concentration import number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.push import PUSH, Push, pushed, told_push
from aiida_mlip_autopipe.science.generate.strategy import CONCENTRATION, OF, Concentration, Kind, Of, Strategy
from aiida_mlip_autopipe.science.generate.voronoi import drawn_apart, every_interstitial_site

CONFIG_TYPE = 'frenkel'


class FrenkelPairs(Strategy):
    """Structures in which random atoms sit at random ones of the empty sites."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 111

    count: PositiveInt = Field(default=1, description='structures for each base structure')
    per_cell: PositiveInt = Field(default=1, description='pairs in each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    min_distance: NonNegativeFloat = Field(default=1.0, description='Å, smallest distance of an empty site to an atom')
    push: Push = Field(default=None, description=PUSH)
    of: Of = Field(default=None, description=OF)

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with a Frenkel pair.

        :raises InputError: the parent has too few empty sites, or too few atoms.
        """
        if not self.count:
            return
        sites = every_interstitial_site(given, self.min_distance)
        wanted = number_of_defects(len(given), self.per_cell, self.concentration)
        for _ in range(self.count):
            chosen = drawn_apart(given, sites, wanted, self.min_distance, rng) if wanted <= len(given) else None
            if chosen is None:
                raise InputError(
                    f'frenkel: {given.symbols} has no {wanted} site(s) at least {self.min_distance} Å from all atoms and from '
                    'each other; lower min_distance, per_cell or concentration'
                )
            moved = np.sort(rng.choice(len(given), size=wanted, replace=False))
            positions = given.positions.copy()
            positions[moved] = sites[chosen]
            told = {'atoms': moved.tolist(), 'sites': np.round(sites[chosen], 6).tolist(), **told_push(self.push)}
            atoms = fresh_atoms(given, CONFIG_TYPE, origin_text('frenkel', **told), positions=positions)
            atoms.positions = pushed(atoms, moved.tolist(), self.push)
            yield atoms
