"""Additional atoms at the empty sites of a crystal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind
from aiida_mlip_autopipe.science.generate.voronoi import interstitial_sites

CONFIG_TYPE = 'interstitial'


@dataclass(frozen=True)
class Interstitials:
    """Structures with atoms at sites that are distinct by symmetry, each element of the parent, or those named, at each.

    :param count: largest number of structures for each base; where there are more, they are drawn at random.
    :param elements: chemical symbols; none: those of the parent.
    :param per_cell: atoms added in each; more than one are drawn at random.
    :param min_distance: Å, smallest distance of a site to an atom.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    elements: tuple[str, ...] = ()
    per_cell: int = 1
    min_distance: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.count < 0 or self.per_cell < 1 or not self.min_distance >= 0:
            raise InputError(
                'interstitial: count >= 0, per_cell >= 1 and min_distance >= 0 Å are needed, '
                f'got {self.count}, {self.per_cell} and {self.min_distance}'
            )
        if unknown := [element for element in self.elements if element not in atomic_numbers]:
            raise InputError(f'interstitial: {unknown} are no symbols of elements')

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with interstitials.

        :raises InputError: the parent has fewer sites than `per_cell`.
        """
        if not self.count:
            return
        sites = interstitial_sites(given, self.min_distance)
        if len(sites) < self.per_cell:
            raise InputError(
                f'interstitial: {given.symbols} has {len(sites)} distinct sites at least {self.min_distance} Å from all atoms, '
                f'per_cell asks for {self.per_cell}'
            )
        numbers = [atomic_numbers[element] for element in self.elements] or np.unique(given.numbers).tolist()
        for chosen, kinds in self._choices(len(sites), numbers, rng):
            told = origin_text('interstitial', sites=np.round(sites[chosen], 6).tolist(), numbers=kinds)
            yield fresh_atoms(
                given,
                CONFIG_TYPE,
                told,
                numbers=np.concatenate([given.numbers, kinds]),
                positions=np.concatenate([given.positions, sites[chosen]]),
            )

    def _choices(self, n_sites: int, numbers: list[int], rng: np.random.Generator) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the sites to fill and what with."""
        if self.per_cell > 1:
            for _ in range(self.count):
                chosen = np.sort(rng.choice(n_sites, size=self.per_cell, replace=False))
                yield chosen.tolist(), rng.choice(numbers, size=self.per_cell).tolist()
            return
        every = list(itertools.product(range(n_sites), numbers))
        picked = sorted(rng.choice(len(every), size=self.count, replace=False)) if len(every) > self.count else range(len(every))
        yield from (([every[index][0]], [every[index][1]]) for index in picked)
