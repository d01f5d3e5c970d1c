"""Short walks of many structures on the energy surface of a surrogate: NVT molecular dynamics or relaxation, all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses

from aiida_mlip_autopipe.common.frames import FloatArray, Frames, uid_of

Forces = Callable[[Frames], FloatArray]
"""Returns the forces on all atoms of frames, eV/Å, shape (n_atoms, 3)."""

FRICTION: Final = 0.02
"""1/fs."""

LONGEST_STEP: Final = 0.2
"""Å, most that an atom moves in one step of a relaxation."""

STEP: Final = 0.05
"""Å²/eV, first step along the force; grows while the forces fall and is halved where they rise."""

SLOWEST: Final = 1e-3
"""Å²/eV."""


@dataclass(frozen=True)
class Md:
    """NVT molecular dynamics.

    :param temperature: K.
    :param steps: of the run.
    :param timestep: fs.
    """

    temperature: float
    steps: int
    timestep: float


def md(frames: Frames, forces_of: Forces, settings: Md, rng: np.random.Generator) -> Frames:
    """Return the frames after a run of Langevin dynamics (BAOAB, Leimkuhler and Matthews 2013) in fixed cells.

    Atoms on which the forces are not finite stop where they are.

    :param forces_of: of the surrogate.
    :param rng: velocities and noise.
    """
    step = settings.timestep * units.fs
    masses = atomic_masses[frames.numbers][:, None]
    spread = np.sqrt(units.kB * settings.temperature / masses)
    velocities = spread * rng.standard_normal(frames.positions.shape)
    decay = np.exp(-FRICTION / units.fs * step)
    kick = np.sqrt(1.0 - decay**2) * spread
    forces = forces_of(frames)
    for _ in range(settings.steps):
        velocities += 0.5 * step * forces / masses
        half = frames.positions + 0.5 * step * velocities
        velocities = decay * velocities + kick * rng.standard_normal(half.shape)
        frames = _moved(frames, half + 0.5 * step * velocities)
        forces = forces_of(frames)
        velocities += 0.5 * step * forces / masses
    return frames


def relax(frames: Frames, forces_of: Forces, steps: int) -> Frames:
    """Return the frames after a number of steps downhill in fixed cells, the length of each structure's step adapted to it.

    :param forces_of: of the surrogate.
    :param steps: of each structure.
    """
    rate = np.full(len(frames), STEP)
    forces = forces_of(frames)
    for _ in range(steps):
        owner = np.repeat(np.arange(len(frames)), frames.counts)
        moves = rate[owner, None] * forces
        lengths = np.linalg.norm(moves, axis=1, keepdims=True)
        trial = _moved(frames, frames.positions + moves * np.minimum(1.0, LONGEST_STEP / np.maximum(lengths, 1e-12)))
        new = forces_of(trial)
        before, after = (np.bincount(owner, (f**2).sum(axis=1)) for f in (forces, new))
        is_better = (after < before) | (rate <= SLOWEST)
        rate = np.where(after < before, 1.2 * rate, np.maximum(0.5 * rate, SLOWEST))
        kept = is_better[owner, None]
        frames = _moved(frames, np.where(kept, trial.positions, frames.positions))
        forces = np.where(kept, new, forces)
    return frames


def as_children(walked: Frames, parents: Frames, config_type: str, origin: str) -> Frames:
    """Return the ends of walks as frames of their own, each a child of the frame it began at.

    :param config_type: what kind of structures these are.
    :param origin: JSON of the strategy and its parameters.
    """
    uids = [uid_of(_bare(walked, index)) for index in range(len(walked))]
    return walked.replace(
        uid=np.array(uids, dtype=np.str_), parent=parents.uid, lineage=parents.lineage, config_type=config_type, origin=origin
    )


def _bare(frames: Frames, index: int) -> Atoms:
    rows = frames.rows(index)
    return Atoms(numbers=frames.numbers[rows], positions=frames.positions[rows], cell=frames.cells[index], pbc=frames.pbc[index])


def _moved(frames: Frames, positions: FloatArray) -> Frames:
    """Return the frames with new positions; atoms whose new position is not finite stay where they are."""
    return frames.replace(positions=np.where(np.isfinite(positions), positions, frames.positions))
