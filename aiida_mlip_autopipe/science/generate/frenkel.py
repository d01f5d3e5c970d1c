"""Frenkel pairs: an atom that left its site for an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.concentration import check_number, number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.push import check_push, pushed, told_push
from aiida_mlip_autopipe.science.generate.strategy import Kind
from aiida_mlip_autopipe.science.generate.voronoi import drawn_apart, every_interstitial_site

CONFIG_TYPE = 'frenkel'


@dataclass(frozen=True)
class FrenkelPairs:
    """Structures in which random atoms sit at random ones of the empty sites.

    :param count: number of structures for each base.
    :param per_cell: pairs in each.
    :param concentration: pairs for each atom, in place of `per_cell`, see :func:`number_of_defects`.
    :param min_distance: Å, smallest distance of an empty site to an atom; the vacancy does not count, so that close pairs
        that would recombine are among them. Two filled sites are as far apart.
    :param push: neighbours nearer than this are moved away to it, in sums of the covalent radii; None leaves them.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    per_cell: int = 1
    concentration: float | None = None
    min_distance: float = 1.0
    push: float | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.count < 0 or not self.min_distance >= 0:
            raise InputError(f'frenkel: count >= 0 and min_distance >= 0 Å are needed, got {self.count} and {self.min_distance}')
        check_number('frenkel', self.per_cell, self.concentration)
        check_push('frenkel', self.push)

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
