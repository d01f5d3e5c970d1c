"""The short-range core of a linear potential: ZBL repulsion, and rows that keep the fit from digging holes where no data are.

Radial functions go on below the shortest training distance, where the ridge lets them, to either sign. On 36 Al-Mg frames POD
fell by 20 to 150 eV between 2.2 and 1.1 Å, deeper than a switched ZBL overlay could fill. So where a wall would fall, the fit
is told, at a low weight, what two approaching atoms cost: the full ZBL energy. It learns the part of it that the core lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from ase import units
from ase.data import atomic_numbers

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, Frames
from aiida_mlip_autopipe.science.checks.wall import WallPath, wall_paths
from aiida_mlip_autopipe.science.linear.factors import Factor, triangular
from aiida_mlip_autopipe.science.linear.rows import RowSource

COULOMB: Final = float(units.Hartree * units.Bohr)
"""e² / (4 π ε0), eV Å."""

_SCREENING: Final = 0.46850
_POWER: Final = 0.23
_AMPLITUDES: Final = np.array([0.02817, 0.28022, 0.50986, 0.18175])
_RATES: Final = np.array([0.20162, 0.40290, 0.94229, 3.19980])

DEPTH: Final = 0.5
"""Share of the shortest distance down to which the fit is told of the core."""

N_POINTS: Final = 11
MARGIN: Final = 0.2
"""Share of the rise of the full ZBL energy that a wall must have between any two points."""

FIRST_SHARE: Final = 0.86
"""Share of the shortest distance from which on: nearer to the training set its data decide."""

TOLERANCES: Final = (10.0, 3.0, 1.0, 0.3, 0.1)
"""Relative errors of a core energy that weigh as much as an error of 1 eV/Å in a force, from weak to strong.

Where an energy falls without, the weakest with which all rise is taken: 3 is enough in most cases and costs hardly any accuracy
(forces of held-out Cu-Au frames 19.7 in place of 18.3 meV/Å), 1 has always been enough and may cost more (34 meV/Å).
"""


@dataclass(frozen=True)
class ZblCore:
    """Distances between which the ZBL repulsion of nuclei is switched off; POD itself has no short-range core.

    :param inner: Å, where the switch begins.
    :param outer: Å, beyond which there is no ZBL; below the shortest distance of the training set.
    """

    inner: float
    outer: float

    def __post_init__(self) -> None:
        """Refuse distances that contradict each other."""
        if not 0 < self.inner < self.outer:
            raise InputError(f'ZBL core: inner {self.inner} Å and outer {self.outer} Å must fulfil 0 < inner < outer')


@dataclass(frozen=True)
class Zbl:
    """Screened repulsion of two nuclei, E(r) = e² Z1 Z2 / (4 π ε0 r) Σ c_i exp(-d_i r / a), a = 0.4685 / (Z1^0.23 + Z2^0.23).

    Ziegler, Biersack and Littmark, "The Stopping and Range of Ions in Matter", 1985.

    :param first: chemical symbol; `second` likewise.
    """

    first: str
    second: str

    def energy(self, distance: FloatArray, order: int = 0) -> FloatArray:
        """Return the energy (eV) or its derivative of `order` 1 or 2 (eV/Å, eV/Å²) at distances in Å."""
        one, two = atomic_numbers[self.first], atomic_numbers[self.second]
        rates = _RATES * (one**_POWER + two**_POWER) / _SCREENING
        r = np.asarray(distance, dtype=np.float64)[..., None]
        factors = (1 / r, -1 / r**2 - rates / r, 2 / r**3 + 2 * rates / r**2 + rates**2 / r)
        return np.asarray(COULOMB * one * two * (_AMPLITUDES * np.exp(-rates * r) * factors[order]).sum(axis=-1))

    def switched(self, distance: FloatArray, core: ZblCore) -> FloatArray:
        """Return the energy as LAMMPS's `pair_style zbl` has it, which ends smoothly at `core.outer`, eV.

        E(r) + C below `inner`, E(r) + A (r - inner)³ / 3 + B (r - inner)⁴ / 4 + C between, 0 from `outer` on.
        """
        width = core.outer - core.inner
        value, slope, bend = (float(self.energy(np.array(core.outer), order)) for order in (0, 1, 2))
        cubic = (-3 * slope + width * bend) / width**2
        quartic = (2 * slope - width * bend) / width**3
        constant = -value + width * slope / 2 - width**2 * bend / 12
        inside = np.maximum(distance - core.inner, 0.0)
        found = self.energy(distance) + cubic / 3 * inside**3 + quartic / 4 * inside**4 + constant
        return np.where(distance < core.outer, found, 0.0)


@dataclass(frozen=True, eq=False)
class CorePath:
    """Rows of the linear model along a path of two approaching atoms, each less that of the start.

    :param rows: eV per coefficient, shape (n_points, n_coefficients).
    :param full: eV, ZBL energy at each point, shape (n_points,).
    :param overlay: eV, what the overlay gives at each point, shape (n_points,).
    :param is_told: points of which the fit is told: those away from the training set, shape (n_points,).
    """

    rows: FloatArray
    full: FloatArray
    overlay: FloatArray
    is_told: BoolArray

    def weighted(self, tolerance: float) -> FloatArray:
        """Return the rows [A | y] that say: POD rises like the full ZBL energy less the overlay, shape (n_told, ...)."""
        target = (self.full - self.full[0]) - (self.overlay - self.overlay[0])
        table = np.column_stack([self.rows, target]) / (tolerance * self.full[:, None])
        return np.asarray(table[self.is_told])

    def fall(self, coefficients: FloatArray) -> float:
        """Return how far POD with its overlay, less a share of the full ZBL energy, falls on the way inwards, eV.

        The share is a margin for what happens between the points. Nearer to the training set its data decide.
        """
        energies = (self.rows @ coefficients + self.overlay - MARGIN * self.full)[max(int(np.argmax(self.is_told)) - 1, 0) :]
        return float((np.maximum.accumulate(energies) - energies).max())


class CoreSource(RowSource, Protocol):
    """Rows of a potential, and the energy of its core."""

    @property
    def cutoff(self) -> float:
        """Å, range of the potential."""

    def core_energies(self, path: WallPath) -> FloatArray:
        """Return the energy that the core alone adds along a path, up to a constant, eV, shape (n_points,)."""


def core_paths(frames: Frames, elements: Sequence[str], source: CoreSource) -> list[CorePath]:
    """Return the rows of a path for each pair of elements; none where no two atoms are neighbours.

    :param frames: the training set.
    :param source: rows of the fit.
    """
    paths = wall_paths(frames, elements, cutoff=source.cutoff, depth=DEPTH, n_points=N_POINTS)
    return [_core_path(path, source) for path in paths]


def core_factor(paths: Sequence[CorePath], tolerance: float, weight: float) -> Factor:
    """Return the factor of the rows of all paths, of which there is at least one.

    :param tolerance: relative error of a core energy that weighs as much as an error of 1 eV/Å in a force.
    :param weight: of the forces in the fit, 1/(eV/Å).
    """
    rows = np.vstack([path.weighted(tolerance) for path in paths])
    return Factor(triangular(weight * rows), len(rows))


def _core_path(path: WallPath, source: CoreSource) -> CorePath:
    energies = np.array([source.design(atoms, with_stress=False).energy for atoms in path.structures])
    is_told = path.distances <= FIRST_SHARE * path.distances[0]
    return CorePath(energies - energies[0], Zbl(*path.pair).energy(path.distances), source.core_energies(path), is_told)
