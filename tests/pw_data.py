"""Small crystals that `pw.x` calculates in a third of a second, for tests and benchmarks of the labels."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk


def strained_aluminium(n_frames: int, seed: int = 1) -> list[Atoms]:
    """Return primitive cells of aluminium, each with a strain of its own."""
    rng = np.random.default_rng(seed)
    structures = []
    for _ in range(n_frames):
        atoms = bulk('Al', a=4.0)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.info['config_type'] = 'strain'
        structures.append(atoms)
    return structures
