"""The series of volumes."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.eos import EquationOfState
from tests.science.generate.parents import cell_of_alloy, made


def test_equation_of_state_has_the_volumes() -> None:
    atoms = cell_of_alloy()
    volumes = [a.get_volume() / atoms.get_volume() for a in made(EquationOfState(count=10, volumes=(0.8, 1.25)), atoms)]
    np.testing.assert_allclose(volumes, np.linspace(0.8, 1.25, 10))


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='volumes must grow'):
        EquationOfState(volumes=(1.2, 0.8))
