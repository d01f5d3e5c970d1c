"""Grids of strains and Sobol points: recovered from the cell."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.deform import Deform
from tests.science.generate.parents import cell_of_alloy, made, strain_of, told


def test_strains_are_recovered_from_the_cell() -> None:
    atoms = cell_of_alloy()
    grid = Deform(uniaxial=(0.02,), biaxial=(-0.01,), shear=(0.03,), general=5, max_strain=0.04)
    structures = made(grid, atoms)
    found = np.array([strain_of(atoms, a) for a in structures])
    np.testing.assert_allclose(found[:3], 0.02 * np.eye(6)[:3], atol=1e-12)
    np.testing.assert_allclose(found[3:6].sum(axis=1), -0.02, atol=1e-12)
    np.testing.assert_allclose(found[6:9], 0.03 * np.eye(6)[3:], atol=1e-12)
    assert np.abs(found[9:]).max() <= 0.04
    for structure, strain in zip(structures, found, strict=True):
        names = ('xx', 'yy', 'zz', 'yz', 'xz', 'xy')
        np.testing.assert_allclose([told(structure)['components'][name] for name in names], strain, atol=1e-9)


def test_sobol_points_fill_each_component_evenly() -> None:
    atoms = cell_of_alloy()
    found = np.array([strain_of(atoms, a) for a in made(Deform(general=64, max_strain=0.05), atoms)])
    for component in found.T:
        assert np.histogram(component, bins=8, range=(-0.05, 0.05))[0].tolist() == [8] * 8


def test_a_grid_has_all_combinations() -> None:
    atoms = cell_of_alloy()
    structures = made(Deform(grid={'xy': (-0.01, 0.01), 'xx': (0.0, 0.02, 0.04)}), atoms)
    found = [strain_of(atoms, structure)[[0, 5]].round(9).tolist() for structure in structures]
    assert sorted(found) == [[x, s] for x in (0.0, 0.02, 0.04) for s in (-0.01, 0.01)]
    assert len(made(Deform(grid={'xx': (0.0, 0.01), 'yz': (0.0,)}), atoms)) == 1  # not the cell as it is
    with pytest.raises(ValidationError, match=r'grid\.zx'):
        Deform(grid={'zx': (0.1,)})


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match=r'shear\.0'):
        Deform(shear=(0.4,))
