"""Structures with atoms missing."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from ase import Atoms
from pydantic import Field, NonNegativeInt, PositiveInt

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.concentration import number_of_defects
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import CONCENTRATION, OF, STRAINED, Concentration, Kind, Of, Strategy

CONFIG_TYPE = 'vacancy'


class Vacancies(Strategy):
    """Structures from which atoms at random sites are taken away."""

    KIND: ClassVar[Kind] = Kind.DRAWN
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    PARENTS = ('rattle',)
    OTHERWISE = STRAINED
    IS_DEFAULT = True
    ORDER = 106

    count: NonNegativeInt = Field(default=1, description='structures with vacancies for each base structure')
    n_vacancies: PositiveInt = Field(default=1, description='atoms taken out of each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('n_vacancies'))
    of: Of = Field(default=None, description=OF)

    def compositions(self, counts: Counter[str]) -> list[Counter[str]] | None:
        """Return what is left of a cell without the atoms."""
        if self.concentration is not None:
            return None
        missing = itertools.combinations_with_replacement(sorted(counts), self.n_vacancies)
        left = [counts - Counter(gone) for gone in missing]
        return [rest for rest in left if rest.total() == counts.total() - self.n_vacancies]

    def problem_in(self, n_sites: int) -> str:
        """Refuse to take all atoms out of a cell."""
        if not self.count or self.concentration is not None or self.n_vacancies < n_sites:
            return ''
        return f'n_vacancies: got {self.n_vacancies}; must be less than {n_sites}, the atoms of the smallest cell'

    def __call__(self, atoms: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield `count` structures with vacancies.

        :param atoms: the complete structure.
        :raises InputError: no atom would be left.
        """
        for _ in range(self.count):
            yield self.one(atoms, rng)

    def one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Return one structure with vacancies.

        :raises InputError: no atom would be left.
        """
        missing = number_of_defects(len(atoms), self.n_vacancies, self.concentration)
        if missing >= len(atoms):
            raise InputError(
                f'vacancies: {missing} of {len(atoms)} atoms cannot be removed; at least one must stay: repeat the cell of '
                f'{atoms.symbols}, or name other parents (of)'
            )
        sites = np.sort(rng.choice(len(atoms), size=missing, replace=False))
        return fresh_atoms(
            atoms,
            CONFIG_TYPE,
            origin_text('vacancy', sites=sites.tolist()),
            numbers=np.delete(atoms.numbers, sites),
            positions=np.delete(atoms.positions, sites, axis=0),
        )
