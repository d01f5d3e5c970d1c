"""Parents, systems and readings that the tests of the strategies share."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.science.generate.strategy import System

PURE = System(('Al',), 'fcc', (({'Al': 1.0},),), {'Al': 4.05}, ((2, 2, 2),))
ALLOY = System(('Al', 'Mg'), 'fcc', (({'Al': 0.75, 'Mg': 0.25},),), {'Al': 4.05, 'Mg': 4.5}, ((2, 2, 2),))


def made(strategy: Any, given: Any, seed: int = 0) -> list[Atoms]:
    return list(strategy(given, np.random.default_rng(seed)))


def cell_of_alloy() -> Atoms:
    atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
    atoms.numbers[:3] = 12
    return atoms


def told(atoms: Atoms) -> dict[str, Any]:
    return dict(json.loads(atoms.info['origin']))


def strain_of(before: Atoms, after: Atoms) -> np.ndarray:
    epsilon = np.linalg.solve(before.cell.array, after.cell.array) - np.eye(3)
    return epsilon[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
