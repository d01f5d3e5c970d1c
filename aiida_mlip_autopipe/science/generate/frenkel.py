"""Frenkel pairs: an atom that left its site for an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind
from aiida_mlip_autopipe.science.generate.voronoi import interstitial_sites

CONFIG_TYPE = 'frenkel'


@dataclass(frozen=True)
class FrenkelPairs:
    """Structures in which a random atom sits at a random one of the empty sites.

    :param count: number of structures for each base.
    :param min_distance: Å, smallest distance of an empty site to an atom; the vacancy does not count, so that close pairs
        that would recombine are among them.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    min_distance: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.count < 0 or not self.min_distance >= 0:
            raise InputError(f'frenkel: count >= 0 and min_distance >= 0 Å are needed, got {self.count} and {self.min_distance}')

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures with a Frenkel pair.

        :raises InputError: the parent has no empty site.
        """
        if not self.count:
            return
        sites = interstitial_sites(given, self.min_distance)
        if not len(sites):
            raise InputError(f'frenkel: {given.symbols} has no site at least {self.min_distance} Å from all atoms')
        for _ in range(self.count):
            atom, site = int(rng.integers(len(given))), sites[int(rng.integers(len(sites)))]
            positions = given.positions.copy()
            positions[atom] = site
            origin = origin_text('frenkel', atom=atom, site=np.round(site, 6).tolist())
            yield fresh_atoms(given, CONFIG_TYPE, origin, positions=positions)
