"""Labels whose energy does not belong to the others of their kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import median_abs_deviation

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, BoolArray, FloatArray, Frames

MIN_FRAMES = 10
"""Fewer frames of one config_type say nothing about what is usual among them."""

MAX_PASSES = 10
"""Fits without the outliers of the last one; two or three are enough in practice."""


def energy_outliers(frames: Frames, threshold: float) -> BoolArray:
    """Return which frames have an energy per atom that is an outlier of its config_type.

    From each energy a sum of one energy per element is taken off, fitted to the frames that are no outliers. What remains is
    compared within each config_type by the robust z-score (x - median) / (1.4826 MAD) (Iglewicz & Hoaglin, How to Detect and
    Handle Outliers, 1993). Isolated atoms, frames without a label and kinds of fewer than 10 frames are never outliers.

    :param threshold: z-score beyond which a frame is an outlier.
    :return: shape (n_frames,).
    """
    kinds = np.where(frames.labelled, frames.config_type, ISOLATED_ATOM)
    judged = kinds != ISOLATED_ATOM
    outliers = np.zeros(len(frames), dtype=bool)
    for _ in range(MAX_PASSES):
        remainder = _without_composition(frames, judged & ~outliers)
        found = judged & (np.abs(_scores(remainder, kinds)) > threshold)
        if np.array_equal(found, outliers):
            break
        outliers = found
    return outliers


def _without_composition(frames: Frames, fitted: BoolArray) -> FloatArray:
    """Return the energies, eV/atom, less the energies of the elements that fit the chosen frames best."""
    elements, columns = np.unique(frames.numbers, return_inverse=True)
    counts = np.zeros((len(frames), len(elements)))
    np.add.at(counts, (np.repeat(np.arange(len(frames)), frames.counts), columns), 1.0)
    fractions, energies = counts / frames.counts[:, None], frames.energy / frames.counts
    if not fitted.any():
        return np.asarray(energies)
    return np.asarray(energies - fractions @ np.linalg.lstsq(fractions[fitted], energies[fitted], rcond=None)[0])


def _scores(values: FloatArray, kinds: npt.NDArray[np.str_]) -> FloatArray:
    """Return the robust z-score of each value within its kind; 0 where the kind is too small or does not vary."""
    scores = np.zeros(len(values))
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        spread = median_abs_deviation(values[members], scale='normal')
        if len(members) >= MIN_FRAMES and spread > 0:
            scores[members] = (values[members] - np.median(values[members])) / spread
    return scores
