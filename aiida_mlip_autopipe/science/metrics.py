"""Errors of a potential against the reference labels of frames, in total and by group, with intervals by bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, Frames, IntArray
from aiida_mlip_autopipe.science.selection.funnel import reduced_formulas

CONFIDENCE: Final = 0.9
"""Share of the resampled errors that lies within an interval."""

RESAMPLES: Final = 2000
"""Resampled sets of an interval; its ends are then known to about a fiftieth of its width."""

FEW: Final = 20
"""Frames below which an error says little: of 12, its interval is nearly as wide as itself (docs/testset.md)."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class LabelErrors:
    """Errors over a set of labelled frames.

    :param energy_rmse: eV/atom; `energy_mae` likewise.
    :param force_rmse: eV/Å, over the Cartesian components; `force_mae` and `force_max`, the largest, likewise.
    :param stress_rmse: eV/Å³, over the Voigt components of the frames that have a stress; None without any.
    :param n_frames: number of labelled frames.
    :param label_force: eV/Å, root mean square of the force components of the labels: the error of a model that predicts none.
    :param label_energy: eV/atom, root mean square of the energies of the labels about the mean of their composition.
    """

    energy_rmse: float
    energy_mae: float
    force_rmse: float
    force_mae: float
    force_max: float
    stress_rmse: float | None
    n_frames: int
    label_force: float
    label_energy: float


@dataclass(frozen=True)
class GroupErrors:
    """Errors over a group of labelled frames, with their intervals.

    :param energy_rmse: eV/atom; `energy_interval` likewise, None for a single frame.
    :param force_rmse: eV/Å, over the Cartesian components; `force_interval` likewise.
    :param n_frames: number of labelled frames, from `n_lineages` lineages.
    """

    energy_rmse: float
    energy_interval: Interval | None
    force_rmse: float
    force_interval: Interval | None
    n_frames: int
    n_lineages: int


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
        label_force=_rms(frames.forces[of_labelled]),
        label_energy=_energy_spread(frames, labelled),
    )


def _energy_spread(frames: Frames, labelled: BoolArray) -> float:
    """Return the root mean square of the energies per atom about the mean of the frames of the same composition, eV/atom."""
    rows = np.flatnonzero(labelled)
    formulas = reduced_formulas(frames)
    names = [formulas[row] for row in rows.tolist()]
    energies = frames.energy[rows] / frames.counts[rows]
    _, groups = np.unique(names, return_inverse=True)
    means = np.bincount(groups, weights=energies) / np.bincount(groups)
    return _rms(energies - means[groups])


def group_errors(
    frames: Frames, energy: npt.ArrayLike, forces: npt.ArrayLike, *, groups: Sequence[str], seed: int
) -> dict[str, GroupErrors]:
    """Return the errors of each group of frames with intervals; frames without a label do not count.

    The intervals hold 90 % of the errors of resampled sets: percentiles of the bootstrap (Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13). Lineages are resampled, for the frames of one are not independent of each other
    (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8); where there is only one, frames are.

    :param energy: eV, total energy of each cell, shape (n_frames,).
    :param forces: eV/Å, shape (n_atoms, 3).
    :param groups: name of the group of each frame.
    :param seed: of the resampling.
    :raises InputError: the groups do not fit, a shape does not fit or a prediction is not finite.
    """
    if len(groups) != len(frames):
        raise InputError(f'there are {len(groups)} groups for {len(frames)} frames')
    per_atom = (_prediction('energy', energy, frames.energy.shape) - frames.energy) / frames.counts
    squares = ((_prediction('forces', forces, frames.forces.shape) - frames.forces) ** 2).sum(axis=1)
    force = np.add.reduceat(squares, frames.offsets[:-1]) if len(frames) else squares
    names = np.asarray(groups, dtype=np.str_)
    found = {}
    for name in sorted(set(names[frames.labelled].tolist())):
        rows = frames.labelled & (names == name)
        found[name] = _group(_Sums.of(frames, rows, per_atom**2, force), np.random.default_rng(seed))
    return found


def caution(n_frames: int) -> str:
    """Return a sentence where an error is of so few frames that it says little, else ''."""
    frames = 'frame' if n_frames == 1 else 'frames'
    return f'the test set has {n_frames} {frames}, fewer than {FEW}: its error is a guess' if n_frames < FEW else ''


@dataclass(frozen=True, eq=False)
class _Sums:
    """Squared errors of what is resampled, summed.

    :param energy: squared errors (eV/atom)², of `frames` frames, shape (n,).
    :param force: squared errors (eV/Å)², of `components` components, shape (n,).
    """

    energy: FloatArray
    frames: FloatArray
    force: FloatArray
    components: FloatArray
    n_lineages: int

    @classmethod
    def of(cls, frames: Frames, rows: BoolArray, energy: FloatArray, force: FloatArray) -> _Sums:
        """Return the sums of each lineage of some frames, or of each frame where all are of one lineage."""
        lineages, members = np.unique(frames.lineage[rows], return_inverse=True)
        units = members if len(lineages) > 1 else np.arange(len(members))
        ones, components = np.ones(len(units)), 3.0 * frames.counts[rows]
        columns = (energy[rows], ones, force[rows], components)
        sums = np.array([np.bincount(units, weights=column) for column in columns])
        return cls(sums[0], sums[1], sums[2], sums[3], len(lineages))


def _group(sums: _Sums, rng: np.random.Generator) -> GroupErrors:
    n_units = len(sums.energy)
    whole = np.ones((1, n_units), dtype=np.int64)
    drawn = rng.multinomial(n_units, np.full(n_units, 1.0 / n_units), size=RESAMPLES) if n_units > 1 else None
    return GroupErrors(
        energy_rmse=float(_resampled(whole, sums.energy, sums.frames)[0]),
        energy_interval=_interval(drawn, sums.energy, sums.frames),
        force_rmse=float(_resampled(whole, sums.force, sums.components)[0]),
        force_interval=_interval(drawn, sums.force, sums.components),
        n_frames=int(sums.frames.sum()),
        n_lineages=sums.n_lineages,
    )


def _interval(drawn: IntArray | None, squares: FloatArray, numbers: FloatArray) -> Interval | None:
    if drawn is None:
        return None
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(_resampled(drawn, squares, numbers), [tail, 100.0 - tail])
    return float(low), float(high)


def _resampled(drawn: IntArray, squares: FloatArray, numbers: FloatArray) -> FloatArray:
    """Return the rms error of each resampled set.

    :param drawn: how often each unit is in each set, shape (n_sets, n_units).
    """
    return np.asarray(np.sqrt((drawn @ squares) / (drawn @ numbers)), dtype=np.float64)


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
