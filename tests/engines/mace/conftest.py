"""The small MACE model of the demo, and Al-Mg frames to try it on."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms

from aiida_mlip_autopipe.engines.mace.model import MaceModel, has_mace
from tests.mace_data import MODEL, almg_atoms


@pytest.fixture(scope='session')
def model_file() -> Path:
    """Return the file of the demo's model."""
    if not has_mace():
        pytest.skip('mace-torch is not installed')
    return MODEL


@pytest.fixture(scope='session')
def double(model_file: Path) -> MaceModel:
    """Return the model in double precision on the CPU."""
    return MaceModel.load(model_file, device='cpu', dtype='float64')


@pytest.fixture(scope='session')
def almg() -> list[Atoms]:
    """Return labelled Al-Mg frames of 7 and 8 atoms, one of them repeated to 16."""
    return almg_atoms()
