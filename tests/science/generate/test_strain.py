"""Strains: bounds, symmetry, scaled positions, the isotropic series and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.science.generate.ideal_lattices import parent_lattice
from aiida_mlip_autopipe.science.generate.strain import Strain


@pytest.fixture
def atoms() -> Atoms:
    return parent_lattice('fcc', {'Al': 1.0}, {'Al': 4.05}, (2, 2, 2))


def deformation(before: Atoms, after: Atoms) -> np.ndarray:
    return np.linalg.solve(before.cell.array, after.cell.array)


@settings(max_examples=30, deadline=None)
@given(max_strain=st.floats(1e-3, 0.33), seed=st.integers(0, 1000))
def test_strain_is_symmetric_bounded_and_told(max_strain, seed):
    atoms = parent_lattice('fcc', {'Al': 1.0}, {'Al': 4.05}, (1, 2, 2))
    (strained,) = Strain(count=1, max_strain=max_strain, hydrostatic=())(atoms, np.random.default_rng(seed))
    epsilon = deformation(atoms, strained) - np.eye(3)
    np.testing.assert_allclose(epsilon, epsilon.T, atol=1e-12)
    assert np.abs(epsilon).max() <= max_strain + 1e-12
    told = json.loads(strained.info['origin'])['components']
    for name, value in told.items():
        assert value == pytest.approx(epsilon['xyz'.index(name[0]), 'xyz'.index(name[1])], abs=2e-10)
    assert strained.get_volume() > 0
    scaled = [a.get_scaled_positions(wrap=False) for a in (strained, atoms)]
    np.testing.assert_allclose(*scaled, atol=1e-12)


def test_hydrostatic_series_has_exact_volumes(atoms):
    series = list(Strain(count=0, hydrostatic=(-0.03, 0.0, 0.05))(atoms, np.random.default_rng(0)))
    ratios = [a.get_volume() / atoms.get_volume() for a in series]
    np.testing.assert_allclose(ratios, [0.97**3, 1.0, 1.05**3])
    assert [json.loads(a.info['origin'])['kind'] for a in series] == ['hydrostatic'] * 3


def test_no_strain_is_the_same_structure(atoms):
    (same,) = Strain(count=0, hydrostatic=(0.0,))(atoms, np.random.default_rng(0))
    assert uid_of(same) == uid_of(atoms)


def test_number_order_and_kind(atoms):
    structures = list(Strain(count=3, max_strain=0.05, hydrostatic=(0.01,))(atoms, np.random.default_rng(0)))
    assert [json.loads(a.info['origin'])['kind'] for a in structures] == ['random'] * 3 + ['hydrostatic']
    assert {a.info['config_type'] for a in structures} == {'strain'}


def test_origin_is_sorted_json(atoms):
    (strained,) = Strain(count=1, max_strain=0.05, hydrostatic=())(atoms, np.random.default_rng(0))
    assert strained.info['origin'] == json.dumps(json.loads(strained.info['origin']), sort_keys=True)


def test_seed_decides(atoms):
    strain = Strain(count=3, max_strain=0.05, hydrostatic=())
    runs = [[uid_of(a) for a in strain(atoms, np.random.default_rng(seed))] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert not set(runs[0]) & set(runs[2])


def test_nothing_is_shared(atoms):
    before = atoms.copy()
    atoms.info['tag'] = before.info['tag'] = 'kept'
    (strained,) = Strain(count=1, max_strain=0.05, hydrostatic=())(atoms, np.random.default_rng(0))
    strained.positions += 1.0
    strained.numbers[:] = 12
    strained.info['tag'] = 'changed'
    assert atoms == before
    assert atoms.info == {'tag': 'kept'}


@pytest.mark.parametrize(
    'wrong', [{'count': -1}, {'max_strain': -0.1}, {'max_strain': 0.34}, {'max_strain': float('nan')}, {'hydrostatic': (-1.0,)}]
)
def test_out_of_range(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Strain(**wrong)
