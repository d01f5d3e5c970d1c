"""Errors of a potential against the reference labels of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames


@dataclass(frozen=True)
class LabelErrors:
    """Errors over a set of labelled frames.

    :param energy_rmse: eV/atom; `energy_mae` likewise.
    :param force_rmse: eV/Å, over the Cartesian components; `force_mae` and `force_max`, the largest, likewise.
    :param stress_rmse: eV/Å³, over the Voigt components of the frames that have a stress; None without any.
    :param n_frames: number of labelled frames.
    """

    energy_rmse: float
    energy_mae: float
    force_rmse: float
    force_mae: float
    force_max: float
    stress_rmse: float | None
    n_frames: int


def label_errors(frames: Frames, energy: npt.ArrayLike, forces: npt.ArrayLike, stress: npt.ArrayLike | None) -> LabelErrors:
    """Return the errors of predictions against the labels of `frames`; frames without a label do not count.

    :param frames: the reference.
    :param energy: eV, total energy of each cell, shape (n_frames,).
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, Voigt order, shape (n_frames, 6), or None when it is not predicted.
    :raises InputError: no frame is labelled, a shape does not fit or a prediction is not finite.
    """
    labelled = frames.labelled
    if not labelled.any():
        raise InputError(f'none of {len(frames)} frames is labelled, so there is no error to measure')
    energies = _prediction('energy', energy, frames.energy.shape)[labelled]
    of_labelled = np.repeat(labelled, frames.counts)
    force = (_prediction('forces', forces, frames.forces.shape) - frames.forces)[of_labelled]
    per_atom = (energies - frames.energy[labelled]) / frames.counts[labelled]
    return LabelErrors(
        energy_rmse=_rms(per_atom),
        energy_mae=float(np.abs(per_atom).mean()),
        force_rmse=_rms(force),
        force_mae=float(np.abs(force).mean()),
        force_max=float(np.abs(force).max()),
        stress_rmse=_stress_rmse(frames, stress),
        n_frames=int(labelled.sum()),
    )


def _stress_rmse(frames: Frames, stress: npt.ArrayLike | None) -> float | None:
    if stress is None or not frames.has_stress.any():
        return None
    return _rms((_prediction('stress', stress, frames.stress.shape) - frames.stress)[frames.has_stress])


def _prediction(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    predicted = np.asarray(values, dtype=np.float64)
    if predicted.shape != shape:
        raise InputError(f'predicted {name} has the shape {predicted.shape}, expected {shape}')
    if not np.isfinite(predicted).all():
        raise InputError(f'predicted {name} is not finite in row {int(np.argwhere(~np.isfinite(predicted))[0][0])}')
    return predicted


def _rms(differences: FloatArray) -> float:
    return float(np.sqrt((differences**2).mean()))
