import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.science.md.bonds import shortest_bond

KINDS = {29: 0, 79: 1}
RADII = np.array([covalent_radii[29], covalent_radii[79]])


def alloy(seed):
    rng = np.random.default_rng(seed)
    atoms = bulk('Cu', a=3.8, cubic=True) * (2, 2, 2)
    atoms.symbols[rng.permutation(len(atoms))[:12]] = 'Au'
    atoms.positions += rng.normal(0, 0.3, atoms.positions.shape)
    return atoms


def with_images(atoms):
    """Return positions and kinds of the atoms, then of their images, as LAMMPS holds them."""
    shifts = [np.array(s) for s in np.ndindex(3, 3, 3)]
    images = [atoms.positions + (s - 1) @ atoms.cell.array for s in shifts if (s != 1).any()]
    kinds = np.array([KINDS[z] for z in atoms.numbers])
    return np.vstack([atoms.positions, *images]), np.tile(kinds, 27)


@pytest.mark.parametrize('seed', range(4))
def test_equals_a_search_over_all_pairs(seed):
    atoms = alloy(seed)
    first, second, distances = neighbor_list('ijd', atoms, 4.0)
    radii = covalent_radii[atoms.numbers]
    expected = (distances / (radii[first] + radii[second])).min()
    positions, kinds = with_images(atoms)
    assert shortest_bond(positions, kinds, len(atoms), RADII) == pytest.approx(expected, rel=1e-12)


def test_small_atoms_may_be_nearer():
    """The nearest pair in Å is not the shortest bond in units of the radii."""
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [5.0, 0, 0], [6.2, 0, 0]])
    assert shortest_bond(positions, np.array([0, 0, 1, 1]), 4, np.array([0.3, 1.4])) == pytest.approx(1.2 / 2.8)


def test_images_across_the_boundary_count():
    atoms = Atoms('Cu2', [[0.1, 0, 0], [9.9, 0, 0]], cell=[10] * 3, pbc=True)
    positions, kinds = with_images(atoms)
    assert shortest_bond(positions, kinds, 2, RADII) == pytest.approx(0.2 / (2 * RADII[0]))


def test_a_lone_atom_has_no_bond():
    assert shortest_bond(np.zeros((1, 3)), np.array([0]), 1, RADII) == np.inf
