"""A linear ACE potential for Al-Mg, fitted to labels of `pw.x`, and structures for it."""

import dataclasses
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential

FOLDER = Path(__file__).parent / 'fixtures' / 'ace'
YAML, YACE, ASI = (FOLDER / f'linear40.{suffix}' for suffix in ('yaml', 'yace', 'asi'))
ELEMENTS = ('Mg', 'Al')
"""Not in the order of the file, which is that of the alphabet."""

CUTOFF = 5.0

_NAMES = ' '.join(ELEMENTS)

POTENTIAL = LammpsPotential(
    ELEMENTS,
    ('pair_style pace product', f'pair_coeff * * "{YACE}" {_NAMES}'),
    CUTOFF,
    ('pair_style pace/extrapolation', f'pair_coeff * * "{YAML}" "{ASI}" {_NAMES}'),
    ASI,
    engine=PACE,
)
PLAIN = dataclasses.replace(POTENTIAL, grade_lines=(), active_set=None)


def alloy(size: tuple[int, int, int] = (2, 2, 2), *, seed: int = 0, strain: float = 0.05, rattle: float = 0.08) -> Atoms:
    """Return a primitive fcc super cell, thus triclinic, half of it Mg, with strain and displacements."""
    rng = np.random.default_rng(seed)
    atoms = bulk('Al', a=4.2) * size
    atoms.symbols[rng.permutation(len(atoms))[: len(atoms) // 2]] = 'Mg'
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-strain, strain, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, rattle, atoms.positions.shape)
    return atoms


def crystal(cells: int = 2, *, seed: int = 0) -> Atoms:
    """Return a cubic fcc crystal of Al with a quarter of Mg at random, 4 atoms for each cell."""
    atoms = bulk('Al', a=4.12, cubic=True) * cells
    atoms.symbols[np.random.default_rng(seed).permutation(len(atoms))[: len(atoms) // 4]] = 'Mg'
    return atoms


def kinds(atoms: Atoms) -> np.ndarray:
    return np.array([ELEMENTS.index(symbol) for symbol in atoms.symbols])
