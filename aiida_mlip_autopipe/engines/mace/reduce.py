"""One row of features for each structure out of those of its atoms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from ase.data import atomic_numbers

from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray

Reduction = Literal['mean_std', 'mean']


def per_structure(descriptors: FloatArray, frames: Frames, elements: Sequence[str], reduction: Reduction) -> FloatArray:
    """Return mean and, where asked, standard deviation of the descriptors over the atoms of each element; 0 where there are none.

    :param descriptors: shape (n_atoms, n_descriptors).
    :param elements: chemical symbols, the order of the blocks.
    :return: shape (n_frames, n_moments n_elements n_descriptors).
    """
    frame = np.repeat(np.arange(len(frames)), frames.counts)
    parts = []
    for element in elements:
        own = frames.numbers == atomic_numbers[element]
        counts = np.maximum(np.bincount(frame[own], minlength=len(frames)), 1)[:, None]
        mean = _sums(descriptors[own], frame[own], len(frames)) / counts
        parts.append(mean)
        if reduction == 'mean_std':
            squares = _sums((descriptors[own] - mean[frame[own]]) ** 2, frame[own], len(frames))
            parts.append(np.sqrt(squares / counts))
    return np.concatenate(parts, axis=1)


def _sums(rows: FloatArray, frame: IntArray, n_frames: int) -> FloatArray:
    totals = np.zeros((n_frames, rows.shape[1]))
    np.add.at(totals, frame, rows)
    return totals


def largest_force(forces: FloatArray, frames: Frames) -> FloatArray:
    """Return the largest force on an atom of each frame, eV/Å, shape (n_frames,).

    :param forces: eV/Å, shape (n_atoms, 3).
    """
    if not len(frames):
        return np.zeros(0)
    return np.asarray(np.maximum.reduceat(np.linalg.norm(forces, axis=1), frames.offsets[:-1]))
