"""Strains: bounds, symmetry, scaled positions, the isotropic series and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.science.generate.bases import parent_lattice
from aiida_mlip_autopipe.science.generate.strain import Strain


@pytest.fixture
def atoms() -> Atoms:
    return parent_lattice('fcc', {'Al': 1.0}, {'Al': 4.05}, (2, 2, 2))


def deformation(before: Atoms, after: Atoms) -> np.ndarray:
    return np.linalg.solve(before.cell.array, after.cell.array)


@settings(max_examples=30, deadline=None)
@given(max_strain=st.floats(0.0, 0.33), seed=st.integers(0, 1000))
def test_strain_is_symmetric_bounded_and_told(max_strain, seed):
    atoms = parent_lattice('fcc', {'Al': 1.0}, {'Al': 4.05}, (1, 2, 2))
    (strained,) = Strain(1, max_strain)(atoms, np.random.default_rng(seed))
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
    series = list(Strain(0, 0.0, (-0.03, 0.0, 0.05))(atoms, np.random.default_rng(0)))
    ratios = [a.get_volume() / atoms.get_volume() for a in series]
    np.testing.assert_allclose(ratios, [0.97**3, 1.0, 1.05**3])
    assert [json.loads(a.info['origin'])['kind'] for a in series] == ['hydrostatic'] * 3


def test_no_strain_is_the_same_structure(atoms):
    (same,) = Strain(0, 0.0, (0.0,))(atoms, np.random.default_rng(0))
    assert uid_of(same) == uid_of(atoms)


def test_number_order_and_kind(atoms):
    structures = list(Strain(3, 0.05, (0.01,))(atoms, np.random.default_rng(0)))
    assert [json.loads(a.info['origin'])['kind'] for a in structures] == ['random'] * 3 + ['hydrostatic']
    assert {a.info['config_type'] for a in structures} == {'strain'}


def test_origin_is_sorted_json(atoms):
    (strained,) = Strain(1, 0.05)(atoms, np.random.default_rng(0))
    assert strained.info['origin'] == json.dumps(json.loads(strained.info['origin']), sort_keys=True)


def test_seed_decides(atoms):
    runs = [[uid_of(a) for a in Strain(3, 0.05)(atoms, np.random.default_rng(seed))] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert not set(runs[0]) & set(runs[2])


def test_nothing_is_shared(atoms):
    before = atoms.copy()
    atoms.info['tag'] = before.info['tag'] = 'kept'
    (strained,) = Strain(1, 0.05)(atoms, np.random.default_rng(0))
    strained.positions += 1.0
    strained.numbers[:] = 12
    strained.info['tag'] = 'changed'
    assert atoms == before
    assert atoms.info == {'tag': 'kept'}


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ((-1, 0.1), 'count must be at least 0, got -1'),
        ((1, -0.1), 'max_strain must lie in'),
        ((1, 0.34), 'got 0.34'),
        ((1, float('nan')), 'got nan'),
        ((1, 0.1, (-1.0,)), 'hydrostatic strain must be above -1'),
    ],
)
def test_out_of_range(arguments, text):
    with pytest.raises(InputError, match=text):
        Strain(*arguments)
