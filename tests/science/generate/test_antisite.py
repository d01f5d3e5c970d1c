"""Antisites: the composition changes."""

from __future__ import annotations

import pytest
from ase.build import bulk
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.antisite import Antisites
from tests.science.generate.parents import cell_of_alloy, made


def test_as_many_atoms_change_as_asked_for() -> None:
    atoms = cell_of_alloy()
    before = atoms.copy()
    for structure in made(Antisites(count=5, per_cell=2), atoms):
        assert (structure.numbers != atoms.numbers).sum() == 2
    assert atoms == before


def test_a_pure_element_has_no_antisites() -> None:
    assert made(Antisites(count=2), bulk('Al')) == []


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='per_cell'):
        Antisites(count=1, per_cell=0)
