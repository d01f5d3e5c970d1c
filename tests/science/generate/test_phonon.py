"""Displaced cells by phonopy."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.phonon import Phonons
from tests.science.generate.parents import made


def test_phonons_displace_one_atom() -> None:
    pytest.importorskip('phonopy')
    atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
    (displaced,) = made(Phonons(distance=0.02), atoms)  # one displacement is enough for fcc
    moved = np.linalg.norm(displaced.positions - atoms.positions, axis=1)
    np.testing.assert_allclose(np.sort(moved), [0.0] * 7 + [0.02], atol=1e-9)


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='distance'):
        Phonons(distance=0.0)
