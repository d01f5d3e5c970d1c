"""Swaps: the composition stays."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.swap import Swaps
from tests.science.generate.parents import cell_of_alloy, made, told


def test_the_composition_stays() -> None:
    atoms = cell_of_alloy()
    before = atoms.copy()
    for structure in made(Swaps(count=5, per_cell=2), atoms):
        assert structure.symbols.formula.count() == atoms.symbols.formula.count()
        assert (structure.numbers != atoms.numbers).sum() == 4
        assert sorted(np.flatnonzero(structure.numbers != atoms.numbers)) == sorted(np.ravel(told(structure)['pairs']))
    assert atoms == before


def test_no_more_than_the_cell_has() -> None:
    atoms = cell_of_alloy()  # three of one element, five of the other
    assert {(structure.numbers != atoms.numbers).sum() for structure in made(Swaps(count=3, per_cell=9), atoms)} == {6}


def test_a_pure_element_has_nothing_to_swap() -> None:
    assert made(Swaps(count=2), bulk('Al')) == []


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='count'):
        Swaps(count=-1)
