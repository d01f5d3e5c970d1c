"""Structures with atoms missing."""

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

CONFIG_TYPE = 'vacancy'


@dataclass(frozen=True)
class Vacancies:
    """Structures from which atoms at random sites are taken away.

    :param count: number of structures.
    :param n_vacancies: atoms missing in each, at least 1.
    :param concentration: atoms missing for each atom, in place of `n_vacancies`, see :func:`number_of_defects`.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.DRAWN

    count: int
    n_vacancies: int = 1
    concentration: float | None = None

    def __post_init__(self) -> None:
        """Refuse counts below their bounds."""
        if self.count < 0:
            raise InputError(f'vacancies: count must be at least 0, got {self.count}')
        if self.n_vacancies < 1:
            raise InputError(f'vacancies: n_vacancies must be at least 1, got {self.n_vacancies}')
        check_number('vacancies', self.n_vacancies, self.concentration)

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
