"""The gamma line of fcc and hcp."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.stacking_fault import StackingFaults
from aiida_mlip_autopipe.science.generate.strategy import System
from tests.science.generate.parents import PURE, made


def layers_above(atoms: Atoms) -> list[int]:
    """Return the number of neighbours of each atom at the distance of nearest neighbours."""
    first = neighbor_list('i', atoms, 1.02 * 4.05 / np.sqrt(2))
    return np.bincount(first, minlength=len(atoms)).tolist()


def test_the_full_slide_is_the_intrinsic_fault() -> None:
    half, full = made(StackingFaults(count=2, layers=6), PURE)
    assert layers_above(full) == [12] * 6  # close-packed again, the third neighbours alone differ
    assert min(layers_above(half)) < 12
    perfect = bulk('Al', a=4.05)
    thirds = [np.isclose(neighbor_list('d', a, 4.7), 4.05 * np.sqrt(4 / 3), atol=0.05).sum() for a in (full, perfect)]
    assert thirds[0] > 0 == thirds[1]  # the neighbours straight above each other that only hcp stacking has
    assert full.get_volume() == pytest.approx(6 * 4.05**3 / 4)
    with pytest.raises(InputError, match='got 8; fcc needs a multiple of 3'):
        made(StackingFaults(layers=8), PURE)


@pytest.mark.parametrize('layers', [4, 6])
def test_the_full_slide_of_hcp_is_close_packed_too(layers: int) -> None:
    a = 4.05 / np.sqrt(2)
    system = System(('Mg',), 'hcp', (({'Mg': 1.0},),), {'Mg': a}, ((2, 2, 2),))
    half, full = made(StackingFaults(count=2, layers=layers), system)
    assert layers_above(full) == [12] * layers  # the intrinsic fault I2: ABAB|CACA
    assert min(layers_above(half)) < 12
    straight = np.isclose(neighbor_list('d', full, 4.9), a * np.sqrt(8 / 3), atol=0.02).sum() / layers
    assert straight < 2  # in hcp each atom has two neighbours straight above and below, at a c/a
    with pytest.raises(InputError, match='got 5; hcp needs a multiple of 2'):
        made(StackingFaults(layers=5), system)


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='count'):
        StackingFaults(count=0)
