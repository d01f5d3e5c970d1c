"""Dimers of all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.dimer import Dimers
from tests.science.generate.parents import ALLOY, made, told


def test_dimers_of_all_pairs() -> None:
    structures = made(Dimers(count=5), ALLOY)
    assert len(structures) == 3 * 5
    assert [told(a)['factor'] for a in structures[:5]] == pytest.approx(np.linspace(0.7, 2.0, 5))
    for atoms in structures:
        assert atoms.get_distance(0, 1, mic=True) == pytest.approx(told(atoms)['distance'], abs=1e-5)
    with pytest.raises(InputError, match='box must be at least'):
        made(Dimers(box=8.0), ALLOY)


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='distances must grow'):
        Dimers(distances=(2.0, 1.0))
