"""Vacancies: which atoms go, that one stays, seeds and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.science.generate.ideal_lattices import parent_lattice
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies


@pytest.fixture
def atoms() -> Atoms:
    lattice = parent_lattice('fcc', {'Al': 1.0}, {'Al': 4.05}, (2, 2, 2))
    lattice.numbers[:4] = 12
    return lattice


@pytest.mark.parametrize('n_vacancies', [1, 3, 7])
def test_told_sites_are_the_missing_ones(atoms, n_vacancies):
    for structure in Vacancies(count=5, n_vacancies=n_vacancies)(atoms, np.random.default_rng(0)):
        sites = json.loads(structure.info['origin'])['sites']
        assert len(set(sites)) == n_vacancies
        expected = atoms.copy()
        del expected[sites]
        assert uid_of(structure) == uid_of(expected)
        np.testing.assert_array_equal(structure.positions, expected.positions)
        assert structure.info['config_type'] == 'vacancy'


@pytest.mark.parametrize('n_vacancies', [8, 9])
def test_last_atom_stays(atoms, n_vacancies):
    with pytest.raises(InputError, match=f'{n_vacancies} of 8 atoms cannot be removed'):
        list(Vacancies(count=1, n_vacancies=n_vacancies)(atoms, np.random.default_rng(0)))


def test_all_sites_are_reached(atoms):
    structures = Vacancies(count=100)(atoms, np.random.default_rng(0))
    assert {json.loads(a.info['origin'])['sites'][0] for a in structures} == set(range(8))


def test_seed_decides(atoms):
    runs = [[a.info['origin'] for a in Vacancies(count=6)(atoms, np.random.default_rng(seed))] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_nothing_is_shared(atoms):
    before = atoms.copy()
    (structure,) = Vacancies(count=1)(atoms, np.random.default_rng(0))
    structure.positions += 1.0
    structure.numbers[:] = 14
    assert atoms == before


@pytest.mark.parametrize('wrong', [{'count': -1}, {'n_vacancies': 0}])
def test_out_of_range(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Vacancies(**wrong)
