"""`TrainerPredictions`: what a trainer itself makes of some of its training frames, kept beside the potential it exported."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

TRAINER_PREDICTIONS: Final = 'trainer_predictions.npz'
"""Name of the file in the folder of a potential; a trainer that writes it gets its export checked frame by frame."""


@dataclass(frozen=True, eq=False)
class TrainerPredictions:
    """Energies and forces by the trainer's own program, to be compared with LAMMPS and the exported files.

    :param frames: which training frames, as rows of the training set, shape (n_frames,).
    :param energy: eV, total energy of each cell, isolated atoms included, shape (n_frames,).
    :param forces: eV/Å, atoms of the frames in turn, shape (n_atoms, 3).
    """

    frames: IntArray
    energy: FloatArray
    forces: FloatArray

    def save(self, folder: Path) -> None:
        """Write the file into the folder of the potential."""
        with (folder / TRAINER_PREDICTIONS).open('wb') as handle:
            np.savez(handle, frames=self.frames, energy=self.energy, forces=self.forces)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Return what lies in the folder of a potential, or None where the trainer wrote nothing.

        :raises FormatError: the file is broken, or its columns contradict each other.
        """
        path = folder / TRAINER_PREDICTIONS
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = cls(
                    np.asarray(stored['frames'], dtype=np.int64),
                    np.asarray(stored['energy'], dtype=np.float64),
                    np.asarray(stored['forces'], dtype=np.float64),
                )
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise FormatError(f'{path.name} cannot be read: {error}') from error
        if found.energy.shape != found.frames.shape or found.forces.ndim != 2 or found.forces.shape[1] != 3:
            raise FormatError(
                f'{path.name}: frames {found.frames.shape}, energy {found.energy.shape}, forces {found.forces.shape} do not fit'
            )
        return found


def spread_indices(n_frames: int, count: int) -> IntArray:
    """Return the rows of at most `count` frames, evenly spread over the set, the first and the last among them."""
    return np.unique(np.linspace(0, n_frames - 1, min(count, n_frames)).round().astype(np.int64))
