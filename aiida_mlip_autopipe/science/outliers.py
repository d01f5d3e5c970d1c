"""Labels whose energy does not belong to the others of their kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import median_abs_deviation

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, BoolArray, FloatArray, Frames

MIN_FRAMES = 10
"""Fewer frames of one config_type say nothing about what is usual among them."""

PASSES = 50
"""Reweighted fits; the weights stand still after twenty or so."""

TINY = 1e-9
"""eV/atom; residuals below it all have the same weight."""


def energy_outliers(frames: Frames, threshold: float) -> BoolArray:
    """Return which frames have an energy per atom that is an outlier of its config_type.

    From each energy a sum of one energy per element is taken off, the one with the least sum of absolute deviations, which few
    wrong energies cannot bend. What remains is compared within each config_type by the robust z-score (x - median) / (1.4826
    MAD) (Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993). Isolated atoms, frames without a label and kinds of fewer
    than 10 frames are never outliers.

    :param threshold: z-score beyond which a frame is an outlier.
    :return: shape (n_frames,).
    """
    judged = np.flatnonzero(frames.labelled & (frames.config_type != ISOLATED_ATOM))
    outliers = np.zeros(len(frames), dtype=bool)
    if len(judged):
        chosen = frames.take(judged)
        outliers[judged] = np.abs(_scores(_without_composition(chosen), chosen.config_type)) > threshold
    return outliers


def _without_composition(frames: Frames) -> FloatArray:
    """Return the energies, eV/atom, less the best energies of the elements (least absolute deviations by reweighted fits)."""
    elements, columns = np.unique(frames.numbers, return_inverse=True)
    counts = np.zeros((len(frames), len(elements)))
    np.add.at(counts, (np.repeat(np.arange(len(frames)), frames.counts), columns), 1.0)
    fractions, energies = counts / frames.counts[:, None], frames.energy / frames.counts
    remainder = np.asarray(energies, dtype=np.float64)
    weights = np.ones(len(frames))
    for _ in range(PASSES):
        solution = np.linalg.lstsq(weights[:, None] * fractions, weights * energies, rcond=None)[0]
        remainder = energies - fractions @ solution
        weights = 1 / np.sqrt(np.maximum(np.abs(remainder), TINY))
    return remainder


def _scores(values: FloatArray, kinds: npt.NDArray[np.str_]) -> FloatArray:
    """Return the robust z-score of each value within its kind; 0 where the kind is too small or does not vary."""
    scores = np.zeros(len(values))
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        spread = median_abs_deviation(values[members], scale='normal')
        if len(members) >= MIN_FRAMES and spread > 0:
            scores[members] = (values[members] - np.median(values[members])) / spread
    return scores
