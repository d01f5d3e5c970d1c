"""Primitive cells in standard orientation, and what symmetry says of them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.properties.crystal import Crystal, Family, strained
from tests.science.properties.crystals import copper


@pytest.mark.parametrize(
    ('atoms', 'family', 'is_free', 'n_atoms'),
    [
        (bulk('Al', cubic=True), Family.CUBIC, False, 1),
        (bulk('Fe'), Family.CUBIC, False, 1),
        (bulk('Si', cubic=True), Family.CUBIC, True, 2),
        (bulk('NaCl', 'rocksalt', a=5.6), Family.CUBIC, False, 2),
        (bulk('CsCl', 'cesiumchloride', a=4.1), Family.CUBIC, False, 2),
        (bulk('ZnS', 'zincblende', a=5.4), Family.CUBIC, True, 2),
        (bulk('Mg'), Family.HEXAGONAL, True, 2),
        (bulk('In'), Family.OTHER, False, 1),
    ],
)
def test_symmetry(atoms: Atoms, family: Family, is_free: bool, n_atoms: int) -> None:
    crystal = Crystal.standardized('it', atoms)
    assert (crystal.family, crystal.has_inner_freedom, len(crystal.atoms)) == (family, is_free, n_atoms)
    assert crystal.volume == pytest.approx(atoms.cell.volume / len(atoms))


def test_a_turned_supercell_is_the_same_crystal() -> None:
    turned = bulk('Cu', a=3.6, cubic=True) * (2, 1, 1)
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    turned.positions += 0.3
    np.testing.assert_allclose(Crystal.standardized('Cu', turned).atoms.cell.array, copper().atoms.cell.array, atol=1e-9)


def test_the_conventional_cell_is_a_cube() -> None:
    cube = copper().conventional()
    assert len(cube) == 4
    np.testing.assert_allclose(cube.cell.array, 3.6 * np.eye(3), atol=1e-9)


def test_elements() -> None:
    assert copper().is_element
    assert not Crystal.standardized('NaCl', bulk('NaCl', 'rocksalt', a=5.6)).is_element


def test_a_volume_keeps_shape_and_places() -> None:
    crystal = Crystal.standardized('Mg', bulk('Mg'))
    larger = crystal.at_volume(1.1 * crystal.volume)
    assert larger.volume == pytest.approx(1.1 * crystal.volume)
    np.testing.assert_allclose(larger.atoms.get_scaled_positions(), crystal.atoms.get_scaled_positions(), atol=1e-12)
    np.testing.assert_allclose(larger.atoms.cell.angles(), crystal.atoms.cell.angles())


def test_two_atoms_in_one_place_are_no_crystal() -> None:
    with pytest.raises(InputError, match='crystal bad: spglib finds no primitive cell'):
        Crystal.standardized('bad', Atoms('Al2', positions=[[0, 0, 0], [0, 0, 0]], cell=[3, 3, 3], pbc=True))


def test_a_strain_moves_cell_and_atoms_alike() -> None:
    atoms = bulk('Si')
    tensor = np.array([[0.01, 0.002, 0], [0.002, 0, 0], [0, 0, -0.01]])
    found = strained(atoms, tensor)
    np.testing.assert_allclose(found.positions, atoms.positions @ (np.eye(3) + tensor))
    np.testing.assert_allclose(found.cell.array, atoms.cell.array @ (np.eye(3) + tensor))
