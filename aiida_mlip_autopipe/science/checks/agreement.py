"""Whether LAMMPS makes of the exported files what the trainer makes of its own model."""

from __future__ import annotations

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions
from aiida_mlip_autopipe.science.checks.finding import Finding

ENERGY = 'energy_agreement'
FORCE = 'force_agreement'


def compared_frames(frames: Frames, predictions: TrainerPredictions) -> Frames:
    """Return the training frames that the trainer predicted.

    :param frames: the training set.
    :raises InputError: the predictions belong to another training set.
    """
    chosen = predictions.frames
    if len(chosen) and not ((chosen >= 0) & (chosen < len(frames))).all():
        raise InputError(f'the trainer predicted frame {int(chosen.max())}, the training set holds {len(frames)} frames')
    compared = frames.take(chosen)
    if len(compared.numbers) != len(predictions.forces):
        raise InputError(
            f'the trainer predicted forces on {len(predictions.forces)} atoms of {len(chosen)} frames, '
            f'which hold {len(compared.numbers)}'
        )
    return compared


def agreement_findings(
    frames: Frames, predictions: TrainerPredictions, energy: FloatArray, forces: FloatArray, *, limits: tuple[float, float]
) -> list[Finding]:
    """Return the findings on energies and forces.

    :param frames: those of :func:`compared_frames`.
    :param energy: eV, by LAMMPS, shape (n_frames,).
    :param forces: eV/Å, by LAMMPS, shape (n_atoms, 3).
    :param limits: eV/atom and eV/Å.
    """
    by_energy = np.abs(energy - predictions.energy) / frames.counts
    by_force = np.abs(forces - predictions.forces).max(axis=1)
    worst, atom = _worst(by_energy), _worst(by_force)
    frame = int(np.searchsorted(frames.offsets, atom, side='right')) - 1
    return [
        Finding.at_most(
            ENERGY,
            float(by_energy[worst]),
            limits[0],
            'eV/atom',
            f'energies of LAMMPS and of the trainer differ by up to {by_energy[worst]:.3g} eV/atom on {len(frames)} frames '
            f'(training frame {int(predictions.frames[worst])}); the limit is {limits[0]:g}',
        ),
        Finding.at_most(
            FORCE,
            float(by_force[atom]),
            limits[1],
            'eV/Å',
            f'forces of LAMMPS and of the trainer differ by up to {by_force[atom]:.3g} eV/Å on {len(frames)} frames '
            f'(training frame {int(predictions.frames[frame])}); the limit is {limits[1]:g}',
        ),
    ]


def _worst(differences: FloatArray) -> int:
    """Return the row of the largest difference; one that is not a number is the worst of all."""
    return int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
