"""Additional atoms at the empty sites of a crystal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from pydantic import Field, NonNegativeFloat, PositiveInt

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.common.settings import Element
from aiida_mlip_autopipe.science.generate.concentration import number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.push import PUSH, Push, pushed, told_push
from aiida_mlip_autopipe.science.generate.strategy import CONCENTRATION, OF, Concentration, Kind, Of, Strategy
from aiida_mlip_autopipe.science.generate.voronoi import drawn_apart, every_interstitial_site, interstitial_sites

CONFIG_TYPE = 'interstitial'


class Interstitials(Strategy):
    """Structures with atoms at sites that are distinct by symmetry, each element of the parent, or those named, at each.

    Several in one cell are drawn among all of its sites, no two of them nearer than `min_distance`.
    """

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 108

    count: PositiveInt = Field(default=4, description='largest number of structures for each base structure')
    elements: tuple[Element, ...] = Field(
        default=(), description='chemical symbols of what is added; none: the elements of the base'
    )
    per_cell: PositiveInt = Field(default=1, description='atoms added to each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    min_distance: NonNegativeFloat = Field(default=1.0, description='Å, smallest distance of a site to an atom')
    push: Push = Field(default=None, description=PUSH)
    of: Of = Field(default=None, description=OF)

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with interstitials.

        :raises InputError: the parent has fewer sites than are to be filled.
        """
        if not self.count:
            return
        numbers = [atomic_numbers[element] for element in self.elements] or np.unique(given.numbers).tolist()
        wanted = number_of_defects(len(given), self.per_cell, self.concentration)
        for sites, kinds in self._single(given, numbers, rng) if wanted == 1 else self._several(given, numbers, wanted, rng):
            filled = fresh_atoms(
                given,
                CONFIG_TYPE,
                origin_text('interstitial', sites=np.round(sites, 6).tolist(), numbers=kinds, **told_push(self.push)),
                numbers=np.concatenate([given.numbers, kinds]),
                positions=np.concatenate([given.positions, sites]),
            )
            filled.positions = pushed(filled, list(range(len(given), len(filled))), self.push)
            yield filled

    def _single(self, atoms: Atoms, numbers: list[int], rng: np.random.Generator) -> Iterator[tuple[FloatArray, list[int]]]:
        """Yield each distinct site with each element, or so many of them as are wanted."""
        sites = interstitial_sites(atoms, self.min_distance)
        every = list(itertools.product(range(len(sites)), numbers))
        if not every:
            raise self._full(atoms, 1)
        picked = sorted(rng.choice(len(every), size=self.count, replace=False)) if len(every) > self.count else range(len(every))
        yield from ((sites[[every[index][0]]], [every[index][1]]) for index in picked)

    def _several(
        self, atoms: Atoms, numbers: list[int], wanted: int, rng: np.random.Generator
    ) -> Iterator[tuple[FloatArray, list[int]]]:
        """Yield random sites, random elements on them."""
        sites = every_interstitial_site(atoms, self.min_distance)
        for _ in range(self.count):
            chosen = drawn_apart(atoms, sites, wanted, self.min_distance, rng)
            if chosen is None:
                raise self._full(atoms, wanted)
            yield sites[chosen], rng.choice(numbers, size=wanted).tolist()

    def _full(self, atoms: Atoms, wanted: int) -> InputError:
        return InputError(
            f'interstitial: {atoms.symbols} has no {wanted} site(s) at least {self.min_distance} Å from all atoms and from each '
            'other; lower min_distance, per_cell or concentration'
        )
