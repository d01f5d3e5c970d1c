"""Small Cu-Au training sets labelled by ASE's EMT, and a potential fitted to one of them."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.pod.files import ACTIVE_SET, grade_lines, pair_lines
from aiida_mlip_autopipe.engines.pod.fit import PodFit

ELEMENTS = ('Cu', 'Au')
CUTOFF = 4.5
REFERENCES = {'Cu': 3.5, 'Au': 3.8}
"""eV; EMT's own zero is near the solid, so the isolated atoms lie above it."""


def alloy(rng: np.random.Generator, share: float = 0.5, size: tuple[int, int, int] = (2, 1, 1), rattle: float = 0.08) -> Atoms:
    """Return an fcc alloy with strain and displacements, 4 atoms per cubic cell."""
    atoms = bulk('Cu', a=3.59 * (1 - share) + 4.06 * share, cubic=True) * size
    atoms.symbols[rng.permutation(len(atoms))[: round(share * len(atoms))]] = 'Au'
    strain = rng.uniform(-0.03, 0.03, (3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.positions += rng.normal(0, rattle, atoms.positions.shape)
    return atoms


def labelled(atoms: Atoms) -> Atoms:
    """Return the structure with EMT's energy, forces and stress."""
    copy = atoms.copy()
    copy.calc = EMT()
    copy.get_potential_energy(), copy.get_forces(), copy.get_stress()
    return copy


def training_frames(n_frames: int = 24, seed: int = 0) -> Frames:
    """Return labelled frames of 8 atoms over all compositions."""
    rng = np.random.default_rng(seed)
    return Frames.from_atoms([labelled(alloy(rng, (i % 5) / 4)) for i in range(n_frames)])


def potential_of(fit: PodFit, folder: Path, *, with_grade: bool = True) -> LammpsPotential:
    """Return the potential in `folder` as LAMMPS loads it."""
    return LammpsPotential(
        elements=ELEMENTS,
        pair_lines=tuple(pair_lines(ELEMENTS, fit.core, str(folder))),
        cutoff=fit.cutoff,
        grade_lines=tuple(grade_lines(ELEMENTS, str(folder))) if with_grade else (),
        active_set=folder / ACTIVE_SET if with_grade else None,
    )
