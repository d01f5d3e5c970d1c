"""Ordered compounds: their symmetry, the size of their sites, and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
import spglib
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import ON_LATTICE
from aiida_mlip_autopipe.science.generate.ordered import Ordered
from aiida_mlip_autopipe.science.generate.strategy import System

GROUPS = {'L1_0': 123, 'L1_2': 221, 'D0_22': 139, 'B2': 221, 'D0_3': 225, 'D0_19': 194, 'B1': 225, 'B3': 216}


def system(prototype: str, *elements: str) -> System:
    return System(elements, prototype, (({elements[0]: 1.0},),), {'Al': 4.0, 'Ni': 3.6, 'Ti': 4.2}, ((2, 2, 2),))


@pytest.mark.parametrize('prototype', ON_LATTICE)
def test_each_lattice_has_its_compounds_both_ways_round(prototype: str) -> None:
    structures = list(Ordered(supercell=(1, 1, 1))(system(prototype, 'Al', 'Ni'), np.random.default_rng(0)))
    told = [json.loads(atoms.info['origin']) for atoms in structures]
    expected = [(name, list(pair)) for name in ON_LATTICE[prototype] for pair in (('Al', 'Ni'), ('Ni', 'Al'))]
    assert [(origin['prototype'], origin['elements']) for origin in told] == expected
    for atoms, origin in zip(structures, told, strict=True):
        found = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=1e-4)
        assert found is not None
        assert found.number == GROUPS[origin['prototype']]


def test_the_site_has_the_volume_of_the_alloy() -> None:
    (first, *_) = Ordered(prototypes=('L1_2',), supercell=(2, 1, 1))(system('fcc', 'Al', 'Ni'), np.random.default_rng(0))
    assert first.symbols.formula.count() == {'Al': 2, 'Ni': 6}
    assert first.get_volume() / 8 == pytest.approx((0.25 * 4.0 + 0.75 * 3.6) ** 3 / 4)


def test_all_pairs_of_three_elements_and_none_of_one() -> None:
    pairs = {
        tuple(json.loads(a.info['origin'])['elements'])
        for a in Ordered()(system('bcc', 'Al', 'Ni', 'Ti'), np.random.default_rng(0))
    }
    assert len(pairs) == 6
    assert list(Ordered()(system('fcc', 'Al'), np.random.default_rng(0))) == []


def test_refusals() -> None:
    with pytest.raises(ValidationError, match=r"\['fcc'\] have no two sublattices; allowed are B1, B2"):
        Ordered(prototypes=('fcc',))
    with pytest.raises(InputError, match=r"must be one of fcc, bcc, hcp, sc, diamond, got 'B1'"):
        list(Ordered()(system('B1', 'Al', 'Ni'), np.random.default_rng(0)))
