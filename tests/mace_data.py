"""The small MACE model of the demo, Al-Mg frames to try it on, and files that are no usable model."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.mace.model import has_mace

ROOT = Path(__file__).parents[1]
MODEL = ROOT / 'examples' / 'almg' / 'surrogate.model'

needs_mace = pytest.mark.skipif(not has_mace(), reason='mace-torch is not installed')


def almg_atoms() -> list[Atoms]:
    """Return labelled Al-Mg frames of 7 and 8 atoms, one of them repeated to 16."""
    frames: list[Atoms] = read(ROOT / 'tests' / 'fixtures' / 'almg' / 'labelled.extxyz', '::3')
    frames[2] = frames[2] * (2, 1, 1)
    return frames


def almg_pool() -> Frames:
    """Return the same frames without labels, each a lineage of its own, and one that is torn apart."""
    torn = bulk('Al', a=6.5, cubic=True) * (2, 1, 1)
    torn.positions[0] += 0.8
    torn.info['config_type'] = 'torn'
    plain = [Atoms(a.symbols, a.positions, cell=a.cell, pbc=True) for a in almg_atoms()]
    for atoms in plain:
        atoms.info['config_type'] = 'vacancy' if len(atoms) == 7 else 'rattle'
    return Frames.from_atoms([*plain, torn])


def poisoned(path: Path) -> Path:
    """Write a model whose every prediction is NaN, and return its path."""
    import torch  # noqa: PLC0415  # takes seconds, and may be missing

    network = torch.load(MODEL, map_location='cpu', weights_only=False)
    for parameter in network.products.parameters():
        parameter.data.fill_(float('nan'))
    torch.save(network, path)
    return path
