"""Rattled structures: the width of the displacements, no drift, seeds and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.science.generate.bases import parent_lattice
from aiida_mlip_autopipe.science.generate.rattle import Rattle


def lattice(supercell=(2, 2, 2)) -> Atoms:
    return parent_lattice('fcc', {'Al': 1.0}, {'Al': 4.05}, supercell)


def test_standard_deviation_and_mean():
    atoms = lattice((8, 8, 8))
    (rattled,) = Rattle(1, 0.1)(atoms, np.random.default_rng(0))
    moved = rattled.positions - atoms.positions
    assert moved.std() == pytest.approx(0.1, rel=0.05)
    np.testing.assert_allclose(moved.mean(axis=0), 0.0, atol=1e-12)


def test_cell_numbers_and_metadata():
    atoms = lattice()
    (rattled,) = Rattle(1, 0.1)(atoms, np.random.default_rng(0))
    np.testing.assert_array_equal(rattled.cell.array, atoms.cell.array)
    np.testing.assert_array_equal(rattled.numbers, atoms.numbers)
    assert rattled.pbc.all()
    assert rattled.info['config_type'] == 'rattle'
    assert json.loads(rattled.info['origin']) == {'strategy': 'rattle', 'stdev': 0.1}


def test_single_atom_stays():
    atoms = lattice((1, 1, 1))
    (rattled,) = Rattle(1, 0.3)(atoms, np.random.default_rng(0))
    assert uid_of(rattled) == uid_of(atoms)


def test_number_and_seed():
    atoms = lattice()
    runs = [[uid_of(a) for a in Rattle(4, 0.1)(atoms, np.random.default_rng(seed))] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 4
    assert not set(runs[0]) & set(runs[2])
    assert list(Rattle(0, 0.1)(atoms, np.random.default_rng(0))) == []


def test_nothing_is_shared():
    atoms = lattice()
    before = atoms.copy()
    (rattled,) = Rattle(1, 0.1)(atoms, np.random.default_rng(0))
    rattled.numbers[:] = 12
    rattled.cell[0, 0] = 99.0
    assert atoms == before
    assert atoms.info == {}


def test_displacements_follow_a_translation():
    atoms = lattice()
    shifted = atoms.copy()
    shifted.positions += [0.3, -0.2, 0.1]
    (one,) = Rattle(1, 0.1)(atoms, np.random.default_rng(4))
    (other,) = Rattle(1, 0.1)(shifted, np.random.default_rng(4))
    np.testing.assert_allclose(other.positions - shifted.positions, one.positions - atoms.positions, atol=1e-12)


@pytest.mark.parametrize(('arguments', 'text'), [((-1, 0.1), 'got -1'), ((1, -0.1), 'got -0.1'), ((1, float('nan')), 'nan')])
def test_out_of_range(arguments, text):
    with pytest.raises(InputError, match=text):
        Rattle(*arguments)
