"""Slabs: flat, with adatoms, with steps."""

from __future__ import annotations

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.surface import Surfaces
from tests.science.generate.parents import ALLOY, PURE, made, told


def test_slabs() -> None:
    structures = made(Surfaces(millers=((1, 0, 0), (1, 1, 1)), layers=3, repeat=(2, 2), adatoms=1, steps=1), ALLOY)
    assert [told(a)['top'] for a in structures] == ['flat', 'adatom', 'step'] * 2
    for flat, adatom, step in zip(*[iter(structures)] * 3, strict=True):
        assert len(adatom) == len(flat) + 1
        assert len(step) < len(flat)
        heights = flat.positions[:, 2]
        assert flat.cell[2, 2] - np.ptp(heights) == pytest.approx(12.0, abs=0.01)
        assert neighbor_list('d', adatom, 5.0).min() > 2.0
    with pytest.raises(ValidationError, match=r'must not be \(0, 0, 0\)'):
        Surfaces(millers=((0, 0, 0),))


def test_a_slab_as_thick_as_asked_for() -> None:
    thin, thick = (made(Surfaces(millers=((1, 0, 0),), thickness=thickness), PURE)[0] for thickness in (3.0, 9.0))
    assert [told(atoms)['layers'] for atoms in (thin, thick)] == [1, 3]  # periods of 4.05 Å
    assert thick.cell[2, 2] - thin.cell[2, 2] == pytest.approx(2 * 4.05)
    with pytest.raises(ValidationError, match='thickness'):
        Surfaces(thickness=0.0)
