"""Sites of the primitive cells, against ASE's own lattices and the builder's table."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.prototypes import PROTOTYPES, SITES_PER_CELL
from aiida_mlip_autopipe.science.generate.ideal_lattices import PROTOTYPES as BUILT
from aiida_mlip_autopipe.science.generate.ideal_lattices import lattice_site_count

ASE_NAMES = {
    'B1': ('rocksalt', 'NaCl'),
    'B2': ('cesiumchloride', 'CsCl'),
    'B3': ('zincblende', 'ZnS'),
    'B4': ('wurtzite', 'ZnO'),
    'C1': ('fluorite', 'CaF2'),
}


@pytest.mark.parametrize('prototype', ['fcc', 'bcc', 'sc', 'hcp', 'diamond'])
def test_elements_are_those_of_ase(prototype: str) -> None:
    crystal = PROTOTYPES[prototype]
    ours = Atoms(['X'] * len(crystal.sites), cell=4.0 * np.array(crystal.cell), scaled_positions=crystal.sites, pbc=True)
    same_shells(ours, bulk('X', prototype, a=4.0))


@pytest.mark.parametrize('prototype', ASE_NAMES)
def test_compounds_are_those_of_ase(prototype: str) -> None:
    name, formula = ASE_NAMES[prototype]
    crystal = PROTOTYPES[prototype]
    theirs = bulk(formula, name, a=4.0, **({'u': 0.375} if name == 'wurtzite' else {}))
    elements = list(dict.fromkeys(theirs.get_chemical_symbols()))
    symbols = [elements[index] for index in crystal.sublattices]
    ours = Atoms(symbols, cell=4.0 * np.array(crystal.cell), scaled_positions=crystal.sites, pbc=True)
    same_shells(ours, theirs)


@pytest.mark.parametrize(
    ('prototype', 'group'),
    [('D0_3', 225), ('D0_19', 194), ('D0_22', 139), ('E2_1', 221), ('L1_0', 123), ('L1_2', 221), ('B2', 221)],
)
def test_space_groups_of_the_others(prototype: str, group: int) -> None:
    crystal = PROTOTYPES[prototype]
    numbers = [index + 1 for index in crystal.sublattices]
    found = spglib.get_symmetry_dataset((crystal.cell, crystal.sites, numbers))
    assert found is not None
    assert found.number == group


@pytest.mark.parametrize(
    ('prototype', 'parent', 'a'), [('D0_19', 'hcp', 0.5), ('D0_22', 'fcc', 1.0), ('L1_2', 'fcc', 1.0), ('D0_3', 'bcc', 0.5)]
)
def test_ordered_alloys_fill_the_sites_of_their_lattice(prototype: str, parent: str, a: float) -> None:
    ordered, plain = PROTOTYPES[prototype], PROTOTYPES[parent]
    lattices = [
        Atoms(['X'] * len(crystal.sites), cell=size * np.array(crystal.cell), scaled_positions=crystal.sites, pbc=True)
        for crystal, size in ((ordered, 4.0), (plain, 4.0 * a))
    ]
    first, second = (np.sort(neighbor_list('d', atoms, 4.5)).reshape(len(atoms), -1, order='F') for atoms in lattices)
    np.testing.assert_allclose(first, np.repeat(second[:1], len(first), axis=0), atol=1e-9)


def same_shells(ours: Atoms, theirs: Atoms) -> None:
    assert len(ours) == len(theirs)
    assert ours.get_volume() == pytest.approx(theirs.get_volume())
    shells = [sorted(zip(*pairs(atoms), strict=True)) for atoms in (ours, theirs)]
    assert shells[0] == shells[1]


def pairs(atoms: Atoms) -> tuple[list[int], list[int], list[float]]:
    first, second, distances = neighbor_list('ijd', atoms, 5.0)
    ends = np.sort(atoms.numbers[np.array([first, second])], axis=0)
    return ends[0].tolist(), ends[1].tolist(), np.round(distances, 6).tolist()


@pytest.mark.parametrize('prototype', SITES_PER_CELL)
def test_builder_counts_alike(prototype: str) -> None:
    assert lattice_site_count(prototype, (2, 3, 1)) == 6 * SITES_PER_CELL[prototype]


def test_builder_knows_the_same_names() -> None:
    assert set(BUILT) == set(SITES_PER_CELL)


def test_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        cast('Any', SITES_PER_CELL)['fcc'] = 4
