"""Defects by concentration: the nearest whole number in each cell, in every strategy that has one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.antisite import Antisites
from aiida_mlip_autopipe.science.generate.concentration import number_of_defects
from aiida_mlip_autopipe.science.generate.divacancy import Divacancies
from aiida_mlip_autopipe.science.generate.frenkel import FrenkelPairs
from aiida_mlip_autopipe.science.generate.interstitial import Interstitials
from aiida_mlip_autopipe.science.generate.swap import Swaps
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies


@pytest.mark.parametrize(('n_atoms', 'concentration', 'number'), [(32, 0.1, 3), (8, 0.01, 1), (64, 0.5, 32), (27, 0.1, 3)])
def test_the_nearest_number_but_one_at_the_least(n_atoms: int, concentration: float, number: int) -> None:
    assert number_of_defects(n_atoms, 7, concentration) == number
    assert number_of_defects(n_atoms, 7, None) == 7


def alloy(n: int = 3) -> Atoms:
    atoms = bulk('Al', a=4.05).repeat((n, n, n))
    atoms.numbers[::2] = 12
    return atoms


def made(strategy: Any, atoms: Atoms, seed: int = 0) -> list[Atoms]:
    return list(strategy(atoms, np.random.default_rng(seed)))


def test_as_many_as_asked_for() -> None:
    atoms = alloy()  # 27 atoms, of which a tenth are 3
    assert {len(a) for a in made(Vacancies(count=4, concentration=0.1), atoms)} == {24}
    assert {len(a) for a in made(Divacancies(count=4, concentration=0.1), atoms)} == {21}
    assert {len(a) for a in made(Interstitials(count=4, concentration=0.1), atoms)} == {30}
    for changed in made(Antisites(count=4, concentration=0.1), atoms):
        assert (changed.numbers != atoms.numbers).sum() == 3
    for moved in made(FrenkelPairs(count=4, concentration=0.1), atoms):
        assert (np.abs(moved.positions - atoms.positions).max(axis=1) > 1e-6).sum() == 3
    for swapped in made(Swaps(count=4, concentration=0.1), atoms):
        assert (swapped.numbers != atoms.numbers).sum() == 6


def test_added_atoms_keep_apart() -> None:
    for atoms in made(Interstitials(count=6, per_cell=5, min_distance=1.7), alloy()):
        distances = atoms.get_all_distances(mic=True)[27:]
        assert distances[distances > 0].min() >= 1.7 - 1e-9


@pytest.mark.parametrize(
    ('strategy', 'said'),
    [
        (Interstitials(count=1, per_cell=20, min_distance=2.0), r'interstitial: Al4Mg4 has no 20 site\(s\) at least 2.0 Å'),
        (FrenkelPairs(count=1, per_cell=9), r'frenkel: Al4Mg4 has no 9 site\(s\)'),
        (Vacancies(count=1, concentration=0.99), '8 of 8 atoms cannot be removed'),
        (Divacancies(count=1, concentration=0.5), '8 of the 8 atoms of Al4Mg4 cannot be removed'),
    ],
)
def test_more_than_the_cell_holds(strategy: Any, said: str) -> None:
    atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
    atoms.numbers[4:] = 12
    with pytest.raises(InputError, match=said):
        made(strategy, atoms)


@pytest.mark.parametrize('factory', [Vacancies, Divacancies, Interstitials, Antisites, Swaps, FrenkelPairs])
@pytest.mark.parametrize('concentration', [0.0, 1.0, float('nan')])
def test_out_of_range(factory: Any, concentration: float) -> None:
    with pytest.raises(ValidationError, match='concentration'):
        factory(count=1, concentration=concentration)
