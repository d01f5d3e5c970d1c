"""Divacancies: neighbours are missing."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.divacancy import Divacancies
from tests.science.generate.parents import cell_of_alloy, made, told


def test_two_neighbours_are_missing() -> None:
    atoms = cell_of_alloy()
    for structure in made(Divacancies(3), atoms):
        first, second = told(structure)['sites']
        assert len(structure) == 6
        assert atoms.get_distance(first, second, mic=True) == pytest.approx(4.05 / np.sqrt(2))


def test_out_of_range() -> None:
    with pytest.raises(InputError, match='reach >= 1'):
        Divacancies(count=1, reach=0.5)
