"""`Posterior`: how uncertain a linear potential is of what it predicts.

The coefficients have the covariance C = R Rᵀ of the evidence, so a prediction a·c has the variance |Rᵀ a|²: the spread of a
committee with infinitely many members, each drawn from the posterior. It is the uncertainty of the coefficients alone; what no
coefficient can fit is the noise, which :attr:`Posterior.noise` holds.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.science.linear.rows import RowSource

POSTERIOR: Final = 'posterior.npz'
"""Name of the file in the folder of a potential."""

NOISES: Final = ('energy', 'force')


@dataclass(frozen=True, eq=False)
class Spread:
    """Standard deviations of predictions, from the uncertainty of the coefficients.

    :param energy: eV, of the energy of each cell, shape (n_frames,).
    :param forces: eV/Å, of the force of each atom, over its three components together, shape (n_atoms,).
    """

    energy: FloatArray
    forces: FloatArray


@dataclass(frozen=True, eq=False)
class Posterior:
    """Covariance of the coefficients and noise of the rows.

    :param root: R, shape (n_coefficients, n_coefficients).
    :param noise: of E/√N (eV/√atom) and of a force component (eV/Å), what is left beside the coefficients.
    """

    root: FloatArray
    noise: dict[str, float]

    def save(self, folder: Path) -> None:
        """Write the file into the folder of the potential."""
        columns = {'root': self.root, 'noise': np.array([self.noise[name] for name in NOISES])}
        with (folder / POSTERIOR).open('wb') as handle:
            np.savez_compressed(handle, **columns)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the posterior in the folder of a potential.

        :raises FormatError: the file is missing or broken.
        """
        path = folder / POSTERIOR
        try:
            with np.load(path, allow_pickle=False) as stored:
                root, noise = np.asarray(stored['root'], dtype=np.float64), np.asarray(stored['noise'], dtype=np.float64)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise FormatError(f'{path} is not a posterior: {error}') from error
        if root.ndim != 2 or root.shape[0] != root.shape[1] or noise.shape != (len(NOISES),):
            raise FormatError(f'{path} is not a posterior: its arrays have the shapes {root.shape} and {noise.shape}')
        return cls(root, dict(zip(NOISES, noise.tolist(), strict=True)))

    def spread(self, frames: Frames, source: RowSource) -> Spread:
        """Return the standard deviations of the predictions for frames.

        :param source: rows of the potential.
        :raises InputError: the rows are of another potential.
        """
        energy, forces = np.zeros(len(frames)), np.zeros(len(frames.numbers))
        for index, atoms in enumerate(frames):
            design = source.design(atoms, with_stress=False)
            if len(design.energy) != len(self.root):
                raise InputError(f'the posterior is of {len(self.root)} coefficients, the rows need {len(design.energy)}')
            energy[index] = np.linalg.norm(design.energy @ self.root)
            forces[frames.rows(index)] = np.linalg.norm((design.forces @ self.root).reshape(len(atoms), -1), axis=1)
        return Spread(energy, forces)

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return deviations from the coefficients, as the members of a committee have them, shape (count, n_coefficients)."""
        return np.asarray(rng.normal(size=(count, self.root.shape[1])) @ self.root.T)
