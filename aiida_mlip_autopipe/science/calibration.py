"""How well the uncertainty that a potential states agrees with its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.frames import FloatArray, Frames

LEAST: Final = 1e-12
"""eV and eV/Å, smallest uncertainty that counts, so that every report is finite."""

SILENT: Final = 1e-6
"""Share of the largest standard deviation of an atom below which symmetry makes its force zero with any coefficients."""


@dataclass(frozen=True)
class Calibration:
    """Errors in units of the stated standard deviation, for labelled frames; a Gaussian has 1, 0.68 and 0.95.

    :param rms: root mean square; above 1 the potential is surer of itself than it should be.
    :param within_one: share of the errors within one standard deviation; `within_two` within two.
    :param count: number of errors.
    """

    rms: float
    within_one: float
    within_two: float
    count: int


def energy_calibration(frames: Frames, energy: FloatArray, spread: FloatArray, noise: float) -> Calibration:
    """Return the calibration of the energies of labelled cells: variance of the coefficients, and N times that of the noise.

    :param energy: eV, predicted, shape (n_frames,); `spread` likewise, its standard deviation from the coefficients.
    :param noise: eV/√atom, what the basis cannot fit of E/√N.
    """
    known = frames.labelled
    deviation = np.sqrt(spread[known] ** 2 + noise**2 * frames.counts[known])
    return calibration((energy - frames.energy)[known], deviation)


def force_calibration(frames: Frames, forces: FloatArray, spread: FloatArray, noise: float) -> Calibration:
    """Return the calibration of the force components of labelled frames.

    Atoms of perfect crystals are left out: their forces are zero with any coefficients, and say nothing of an uncertainty.

    :param forces: eV/Å, predicted, shape (n_atoms, 3).
    :param spread: eV/Å, of each atom over its three components together, shape (n_atoms,).
    :param noise: eV/Å, what the basis cannot fit of a component.
    """
    known = np.repeat(frames.labelled, frames.counts)
    known &= spread > SILENT * spread.max(initial=0.0, where=known)
    deviation = np.sqrt(spread[known] ** 2 / 3 + noise**2)
    return calibration((forces - frames.forces)[known], np.repeat(deviation[:, None], 3, axis=1))


def calibration(errors: FloatArray, deviations: FloatArray) -> Calibration:
    """Return the calibration of errors, of any unit and shape, whose standard deviations are stated likewise.

    Of no errors it is that of errors of zero, with a `count` of 0.
    """
    if not errors.size:
        return Calibration(0.0, 1.0, 1.0, 0)
    ratio = np.abs(errors) / np.maximum(deviations, LEAST)
    return Calibration(float(np.sqrt((ratio**2).mean())), float((ratio <= 1).mean()), float((ratio <= 2).mean()), int(ratio.size))
