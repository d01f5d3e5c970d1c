"""Divacancies: neighbours are missing."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.divacancy import Divacancies
from tests.science.generate.parents import cell_of_alloy, made, told


def test_two_neighbours_are_missing() -> None:
    atoms = cell_of_alloy()
    for structure in made(Divacancies(count=3), atoms):
        first, second = told(structure)['sites']
        assert len(structure) == 6
        assert atoms.get_distance(first, second, mic=True) == pytest.approx(4.05 / np.sqrt(2))


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='reach'):
        Divacancies(count=1, reach=0.5)
