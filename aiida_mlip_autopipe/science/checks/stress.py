"""Whether the stress is the derivative of the energy: central differences of strained cells."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.science.checks.finding import Finding

CHECK = 'stress_derivative'

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def strained_cells(frames: Frames, strain: float) -> list[Atoms]:
    """Return each frame under +h and -h of the six strains: x -> x (1 + ε), ε_ij = ε_ji = ±h/2 off the diagonal.

    :param strain: h, dimensionless.
    :return: twelve structures of each frame, Voigt components in turn, +h before -h.
    """
    strained = []
    for atoms in frames:
        for row, column in _VOIGT:
            for step in (strain, -strain):
                change = np.eye(3)
                change[row, column] += step / 2
                change[column, row] += step / 2
                copy = Atoms(numbers=atoms.numbers, positions=atoms.positions @ change, cell=atoms.cell @ change, pbc=atoms.pbc)
                strained.append(copy)
    return strained


def numerical_stress(frames: Frames, energies: FloatArray, strain: float) -> FloatArray:
    """Return the stress (E(+h) - E(-h)) / (2 h V), eV/Å³, Voigt order, shape (n_frames, 6).

    :param energies: eV, of the structures of :func:`strained_cells`.
    """
    pairs = energies.reshape(len(frames), len(_VOIGT), 2)
    volumes = np.abs(np.linalg.det(frames.cells))
    return np.asarray((pairs[:, :, 0] - pairs[:, :, 1]) / (2 * strain * volumes[:, None]))


def stress_finding(stress: FloatArray, derivative: FloatArray, *, limit: float) -> Finding:
    """Return the finding on the largest difference of two stresses, both eV/Å³, shape (n_frames, 6)."""
    worst = float(np.abs(stress - derivative).max())
    message = (
        f'the stress differs from the numerical derivative of the energy by up to {worst:.3g} eV/Å³ '
        f'on {len(stress)} frames; the limit is {limit:g}'
    )
    return Finding.at_most(CHECK, worst, limit, 'eV/Å³', message)
