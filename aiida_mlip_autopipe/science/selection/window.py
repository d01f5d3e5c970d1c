"""Frames that a surrogate says lie too far from equilibrium to be worth a label, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, Frames

NOT_FINITE = 'not_finite'
FORCE_CAP = 'force_cap'
ENERGY_WINDOW = 'energy_window'
VOLUME_WINDOW = 'volume_window'

WINDOW_REASONS = (NOT_FINITE, FORCE_CAP, ENERGY_WINDOW, VOLUME_WINDOW)
"""Reasons against a frame, in the order in which they are looked for."""


@dataclass(frozen=True)
class Window:
    """What passes; None switches a filter off.

    :param force_cap: eV/Å, largest predicted force on an atom.
    :param energy: eV/atom, above the convex hull of the predicted energies.
    :param volume: Å³/atom, smallest and largest.
    """

    force_cap: float | None = None
    energy: float | None = None
    volume: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse limits that nothing could pass."""
        for name, value in (('force_cap', self.force_cap), ('energy', self.energy)):
            if value is not None and not value > 0.0:
                raise InputError(f'{name}: got {value}; must be above 0')
        if self.volume is not None and not 0.0 <= self.volume[0] < self.volume[1]:
            raise InputError(f'volume: got {self.volume}; must be two rising numbers, at least 0')


def window_reasons(frames: Frames, window: Window, energies: FloatArray | None, forces: FloatArray | None) -> list[str]:
    """Return for each frame the first reason against it, or ''.

    :param energies: eV, predicted for each frame, shape (n_frames,), or None without a surrogate.
    :param forces: eV/Å, predicted largest force on an atom of each frame, shape (n_frames,), or None.
    """
    nothing = np.zeros(len(frames), dtype=bool)
    finite = ~nothing
    for predicted in (energies, forces):
        if predicted is not None:
            finite &= np.isfinite(predicted)
    above = nothing
    if energies is not None and window.energy is not None:
        above = _above_hull(frames, energies, finite) > window.energy
    volumes = np.abs(np.linalg.det(frames.cells)) / frames.counts
    low, high = window.volume or (0.0, np.inf)
    outside = frames.pbc.all(axis=1) & ((volumes < low) | (volumes > high))
    pushed = nothing if forces is None or window.force_cap is None else forces > window.force_cap
    found = np.select([~finite, pushed, above, outside], WINDOW_REASONS, default='')
    return [str(reason) for reason in found]


def _above_hull(frames: Frames, energies: FloatArray, finite: BoolArray) -> FloatArray:
    """Return the energy above the hull, eV/atom; that of frames whose energy is not finite is 0."""
    heights = np.zeros(len(frames))
    if finite.any():
        kept = np.flatnonzero(finite)
        part = frames.take(kept)
        heights[kept] = above_hull(compositions(part, part.elements), energies[kept] / part.counts)
    return heights


def compositions(frames: Frames, elements: Sequence[str]) -> FloatArray:
    """Return the fraction of each element in each frame, shape (n_frames, n_elements).

    :param elements: chemical symbols; all elements of the frames must be among them.
    """
    index = {element: number for number, element in enumerate(elements)}
    rows = np.zeros((len(frames), len(elements)))
    for frame in range(len(frames)):
        for symbol in frames.symbols(frame):
            rows[frame, index[symbol]] += 1.0
    return rows / frames.counts[:, None]


def above_hull(fractions: FloatArray, energies: FloatArray) -> FloatArray:
    """Return how far each energy lies above the lower convex hull of all of them, eV/atom, at least 0.

    The hull at x is the smallest Σ λ_i E_i with Σ λ_i x_i = x, Σ λ_i = 1 and λ_i ≥ 0: one small linear program for each
    composition, among the lowest energies of all compositions.

    :param fractions: of the elements, shape (n, n_elements).
    :param energies: eV/atom, shape (n,).
    :raises FitError: a linear program has no solution, which cannot be.
    """
    # energies of the elements are of no effect on the height, but large numbers cost precision
    heights = energies - fractions @ np.linalg.lstsq(fractions, energies, rcond=None)[0]
    _, first, inverse = np.unique(np.round(fractions, 9), axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    lowest = np.full(len(first), np.inf)
    np.minimum.at(lowest, inverse, heights)
    hull = np.array([_hull_at(x, fractions[first], lowest) for x in fractions[first]])
    return np.maximum(heights - hull[inverse], 0.0)


def _hull_at(x: FloatArray, points: FloatArray, energies: FloatArray) -> float:
    equations = np.vstack([points.T, np.ones(len(points))])
    found = linprog(energies, A_eq=equations, b_eq=np.append(x, 1.0), bounds=(0, None), method='highs')
    if found.x is None:
        raise FitError(f'the convex hull at {x.tolist()} was not found: {found.message}')
    return float(energies @ found.x)
