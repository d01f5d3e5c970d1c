"""Ideal lattices: site counts, shells of neighbours, Vegard's rule and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES as CRYSTALS
from aiida_mlip_autopipe.science.generate.ideal_lattices import PROTOTYPES, lattice_site_count, parent_lattice, vegard_parameter

# prototype: coordination number and distance of the nearest neighbours in units of a
SHELLS = {
    'fcc': (12, np.sqrt(0.5)),
    'bcc': (8, np.sqrt(0.75)),
    'sc': (6, 1.0),
    'hcp': (12, 1.0),
    'diamond': (4, np.sqrt(3) / 4),
}


def test_every_prototype_is_covered_here():
    assert set(SHELLS) == {name for name in PROTOTYPES if CRYSTALS[name].n_sublattices == 1}


@pytest.mark.parametrize('prototype', SHELLS)
@pytest.mark.parametrize('supercell', [(1, 1, 1), (2, 2, 2), (1, 2, 3)])
def test_site_count_is_that_of_the_lattice(prototype, supercell):
    atoms = parent_lattice(prototype, {'Al': 1.0}, {'Al': 4.0}, supercell)
    assert len(atoms) == lattice_site_count(prototype, supercell)
    assert atoms.pbc.all()


def test_fcc_counts():
    assert lattice_site_count('fcc', (2, 2, 2)) == 8
    assert lattice_site_count('hcp', (2, 2, 2)) == 16


@pytest.mark.parametrize('prototype', SHELLS)
def test_first_shell(prototype):
    coordination, distance = SHELLS[prototype]
    atoms = parent_lattice(prototype, {'Al': 1.0}, {'Al': 4.0}, (2, 1, 1))
    found = neighbor_list('d', atoms, 4.0 * distance + 0.05)
    assert len(found) == coordination * len(atoms)
    np.testing.assert_allclose(found, 4.0 * distance, atol=1e-9)


def test_primitive_cell_is_repeated():
    atoms = parent_lattice('fcc', {'Al': 1.0}, {'Al': 4.05}, (2, 2, 2))
    np.testing.assert_allclose(atoms.cell.array, 2 * bulk('Al', 'fcc', a=4.05).cell.array)


def test_vegard():
    assert vegard_parameter({'Al': 0.75, 'Mg': 0.25}, {'Al': 4.0, 'Mg': 4.4}) == pytest.approx(4.1)
    atoms = parent_lattice('bcc', {'Al': 0.75, 'Mg': 0.25}, {'Al': 4.0, 'Mg': 4.4}, (1, 1, 1))
    assert atoms.get_volume() == pytest.approx(4.1**3 / 2)


def test_absent_element_needs_no_lattice_parameter():
    assert vegard_parameter({'Al': 1.0, 'Mg': 0.0}, {'Al': 4.0}) == pytest.approx(4.0)


def test_first_present_element_occupies_and_has_no_moment():
    atoms = parent_lattice('bcc', {'Al': 0.0, 'Fe': 1.0}, {'Fe': 2.87}, (2, 1, 1))
    assert atoms.get_chemical_formula() == 'Fe2'
    assert not atoms.has('initial_magmoms')


def test_hcp_is_ideal():
    lengths = parent_lattice('hcp', {'Mg': 1.0}, {'Mg': 3.2}, (1, 1, 1)).cell.lengths()
    np.testing.assert_allclose(lengths, [3.2, 3.2, 3.2 * np.sqrt(8 / 3)])


def test_unknown_prototype_names_itself_and_the_allowed():
    with pytest.raises(InputError, match=r"'a15' is unknown; allowed are fcc, bcc, sc, hcp, diamond"):
        lattice_site_count('a15', (1, 1, 1))
    with pytest.raises(InputError, match="'a15'"):
        parent_lattice('a15', {'Al': 1.0}, {'Al': 4.0}, (1, 1, 1))


@pytest.mark.parametrize('supercell', [(0, 1, 1), (1, 1), (1, 1, -2)])
def test_supercell_out_of_range(supercell):
    with pytest.raises(InputError, match='three repeats of at least 1'):
        lattice_site_count('fcc', supercell)


@pytest.mark.parametrize('parameters', [{}, {'Al': 0.0}, {'Al': float('nan')}, {'Al': float('inf')}])
def test_unusable_lattice_parameter(parameters):
    with pytest.raises(InputError, match='lattice parameter of Al'):
        vegard_parameter({'Al': 1.0}, parameters)
