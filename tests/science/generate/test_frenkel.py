"""Frenkel pairs: an atom leaves its site."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.frenkel import FrenkelPairs
from tests.science.generate.parents import cell_of_alloy, made


def test_one_atom_moved_to_an_empty_site() -> None:
    atoms = cell_of_alloy()
    for structure in made(FrenkelPairs(count=3), atoms):
        assert (np.abs(structure.positions - atoms.positions).max(axis=1) > 1e-6).sum() == 1
        assert structure.symbols.formula.count() == atoms.symbols.formula.count()


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='count'):
        FrenkelPairs(count=-1)
