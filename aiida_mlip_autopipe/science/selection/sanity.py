"""Geometric sanity: structures that no calculation should be spent on, and why."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, Frames, IntArray

NOT_PERIODIC = 'not_periodic'
FLAT_CELL = 'flat_cell'
SKEWED_CELL = 'skewed_cell'
SMALL_VOLUME = 'small_volume'
LARGE_VOLUME = 'large_volume'
SHORT_BOND = 'short_bond'

SANITY_REASONS = (NOT_PERIODIC, FLAT_CELL, SKEWED_CELL, SMALL_VOLUME, LARGE_VOLUME, SHORT_BOND)
"""In the order in which they are looked for; the first one found is given."""

_MIN_HEIGHT = 0.5
"""Å between opposite faces of a cell; no solid is that thin, and a search for bonds would need many images."""


@dataclass(frozen=True)
class SanityLimits:
    """Bounds on the geometry of a structure, as in :func:`sanity_reasons`.

    :raises InputError: a bound is out of range.
    """

    min_bond_fraction: float = 0.6
    max_skew: float = 60.0
    max_aspect: float = 10.0
    volume_per_atom: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that nothing or everything would pass."""
        if not 0.0 <= self.min_bond_fraction < math.inf:
            raise InputError(f'min_bond_fraction must be at least 0, got {self.min_bond_fraction}')
        if not 0.0 <= self.max_skew <= 90.0:
            raise InputError(f'max_skew must lie in 0..90 degrees, got {self.max_skew}')
        if not self.max_aspect >= 1.0:
            raise InputError(f'max_aspect must be at least 1, got {self.max_aspect}')
        if self.volume_per_atom is not None and not 0.0 <= self.volume_per_atom[0] < self.volume_per_atom[1]:
            raise InputError(f'volume_per_atom must be a lower and a higher bound, got {self.volume_per_atom}')


def sanity_reasons(
    frames: Frames,
    *,
    min_bond_fraction: float,
    max_skew: float,
    max_aspect: float = 10.0,
    volume_per_atom: tuple[float, float] | None = None,
) -> list[str]:
    """Return for each frame the first of `SANITY_REASONS` that speaks against it, or '' when it is sane.

    :param min_bond_fraction: shortest bond allowed between i and j, images included, in units of the sum of the covalent
        radii r_i + r_j.
    :param max_skew: degrees; largest deviation from 90° of an angle between two lattice vectors, of the cell as it is
        given: 0 for a box, 30 for a primitive fcc cell.
    :param max_aspect: longest lattice vector over the shortest distance between opposite faces: 1 for a cube.
    :param volume_per_atom: lower and higher bound of the volume of the cell in units of the volume of its atoms taken as
        spheres of their covalent radii (fcc Al: 2.2), or None.
    :raises InputError: a bound is out of range.
    """
    limits = SanityLimits(min_bond_fraction, max_skew, max_aspect, volume_per_atom)
    return [_reason(frames, index, limits) for index in range(len(frames))]


def _reason(frames: Frames, index: int, limits: SanityLimits) -> str:
    cell, rows = frames.cells[index], frames.rows(index)
    if reason := cell_reason(frames.numbers[rows], cell, frames.pbc[index], limits):
        return reason
    reach = limits.min_bond_fraction * covalent_radii[frames.numbers[rows]]
    return SHORT_BOND if _has_short_bond(frames.positions[rows], cell, _heights(cell), reach) else ''


def cell_reason(numbers: IntArray, cell: FloatArray, pbc: BoolArray, limits: SanityLimits) -> str:
    """Return the first of `SANITY_REASONS` before :data:`SHORT_BOND` that speaks against a structure, or ''.

    :param numbers: atomic numbers.
    :param cell: rows are lattice vectors, Å, shape (3, 3).
    :param pbc: periodic directions, shape (3,).
    """
    if not pbc.all():
        return NOT_PERIODIC
    heights = _heights(cell)
    lengths = np.linalg.norm(cell, axis=1)
    if heights.min() < _MIN_HEIGHT or lengths.max() > limits.max_aspect * heights.min():
        return FLAT_CELL
    if _skew(cell, lengths) > limits.max_skew:
        return SKEWED_CELL
    if limits.volume_per_atom is None:
        return ''
    filling = abs(np.linalg.det(cell)) / (4.0 / 3.0 * math.pi * (covalent_radii[numbers] ** 3).sum())
    low, high = limits.volume_per_atom
    return '' if low <= filling <= high else (SMALL_VOLUME if filling < low else LARGE_VOLUME)


def _heights(cell: FloatArray) -> FloatArray:
    """Return the distances between opposite faces, Å, shape (3,): h_i = V / |a_j x a_k|, 0 for a cell without volume."""
    areas = np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    volume = abs(float(np.linalg.det(cell)))
    return np.divide(volume, areas, out=np.zeros(3), where=areas > 0)


def _skew(cell: FloatArray, lengths: FloatArray) -> float:
    cosines = (cell[[1, 2, 0]] * cell[[2, 0, 1]]).sum(axis=1) / (lengths[[1, 2, 0]] * lengths[[2, 0, 1]])
    return float(np.degrees(np.arcsin(np.clip(np.abs(cosines), 0.0, 1.0))).max())


def _has_short_bond(positions: FloatArray, cell: FloatArray, heights: FloatArray, reach: FloatArray) -> bool:
    """Return whether atoms i and j, or an atom and its image, are nearer than reach_i + reach_j.

    With scaled differences s wrapped to [-1/2, 1/2], the image s + k lies at least (|k| - 1/2) h away, so that only images
    with |k| < c / h + 1/2 can be nearer than c. Small cells look at more images; large ones at one.

    :param reach: Å, shape (n_atoms,).
    """
    cutoffs = (reach[:, None] + reach[None, :]) ** 2
    scaled = np.linalg.solve(cell.T, positions.T).T
    differences = scaled[:, None, :] - scaled[None, :, :]
    differences -= np.round(differences)
    widest = np.ceil(2.0 * reach.max() / heights + 0.5).astype(int) - 1
    for image in itertools.product(*(range(-int(k), int(k) + 1) for k in widest)):
        vectors = (differences + np.array(image, dtype=np.float64)) @ cell
        short = (vectors**2).sum(axis=2) < cutoffs
        if image == (0, 0, 0):
            np.fill_diagonal(short, False)
        if short.any():
            return True
    return False
