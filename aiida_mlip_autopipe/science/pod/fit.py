"""A POD potential from labelled frames: linear least squares on energies, forces and stresses, with its active set."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.common.pod import (
    ACTIVE_SET,
    BASES,
    COEFFICIENTS,
    INNER_RADIUS,
    PARAMETERS,
    ZblCore,
    coefficient_text,
    parameter_text,
)
from aiida_mlip_autopipe.science.pod.descriptors import DesignRows, PodDescriptors
from aiida_mlip_autopipe.science.pod.guards import require_sane, require_trainable, require_usable
from aiida_mlip_autopipe.science.pod.linear import RIDGES, Factor, RowStream, choose_ridge, combine, group_folds, solve
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

AUTO: Final = 'auto'
"""Basis S for a scarce element, else M: M has more descriptors per atom than a small set can determine."""

AUTO_ATOMS: Final = 300
"""Training atoms of the rarest element from which `auto` takes basis M."""

CORE_OUTER: Final = 0.8
CORE_INNER: Final = 0.6
"""ZBL is switched off between these fractions of the shortest training distance, so it never acts on a training frame."""

N_FOLDS: Final = 5

LONE_GROUP_RIDGE: Final = 1e-6
"""Ridge for a single training frame, on which nothing can be held out."""


@dataclass(frozen=True)
class PodSettings:
    """What a fit needs besides the frames.

    :param elements: chemical symbols; their order is that of the LAMMPS types.
    :param cutoff: Å.
    :param basis: S, M, L or auto; auto takes S while an element has fewer than 300 training atoms, else M.
    :param energy_weight: of the energy per atom, 1/(eV/atom).
    :param force_weight: of the force components, 1/(eV/Å).
    :param stress_weight: of the stress components, 1/(eV/Å³); 0 leaves them out and saves most of the time.
    :param ridge: without unit, see :func:`~aiida_mlip_autopipe.science.pod.linear.solve`; None chooses it by cross-validation.
    :param core: whether ZBL repulsion is added below the shortest training distance.
    :param free_one_body: whether the energy of an atom without neighbours is fitted; otherwise it is the isolated atom's.
    :param seed: of the folds of the cross-validation.
    :raises InputError: a value out of its range.
    """

    elements: tuple[str, ...]
    cutoff: float
    basis: str = AUTO
    energy_weight: float = 100.0
    force_weight: float = 1.0
    stress_weight: float = 100.0
    ridge: float | None = None
    core: bool = True
    free_one_body: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        if self.basis not in (AUTO, *BASES):
            raise InputError(f'basis is {self.basis!r}, expected one of {", ".join((AUTO, *BASES))}')
        weights = (self.energy_weight, self.force_weight, self.stress_weight)
        if not all(np.isfinite(weight) and weight >= 0 for weight in weights) or weights[0] + weights[1] == 0:
            raise InputError(f'weights of energy, force and stress are {weights}, expected at least 0, and not all 0')
        if self.ridge is not None and not 0 < self.ridge < 1:
            raise InputError(f'ridge is {self.ridge}, expected between 0 and 1')
        if not self.cutoff > INNER_RADIUS:
            raise InputError(f'cutoff is {self.cutoff} Å, expected more than {INNER_RADIUS} Å')


@dataclass(frozen=True)
class TrainingErrors:
    """Root mean square errors on the training set: energy in eV/atom, force in eV/Å, stress in eV/Å³ or None."""

    energy: float
    force: float
    stress: float | None


@dataclass(frozen=True, eq=False)
class PodFit:
    """A fitted potential, whose files lie in the folder that was given.

    :param coefficients: eV, shape (n_coefficients,).
    :param basis: the basis that was used.
    :param ridge: the ridge that was used.
    :param ridge_scores: held-out error by ridge (weighted root mean square); empty when the ridge was given.
    :param ridge_groups: what was held out together: lineage, frame (fewer than two lineages) or none.
    :param n_rows: rows of the least-squares problem.
    :param errors: on the training set.
    :param cutoff: Å.
    :param shortest: Å, shortest distance in the training set.
    :param core: distances of the ZBL core, or None.
    :param gamma_train_max: largest extrapolation grade of a training atom.
    :param active_atoms: number of training atoms in the active set, by element.
    :param seconds: wall-clock time by phase: rows, solve, active_set.
    """

    coefficients: FloatArray
    basis: str
    ridge: float
    ridge_scores: dict[float, float]
    ridge_groups: str
    n_rows: int
    errors: TrainingErrors
    cutoff: float
    shortest: float
    core: ZblCore | None
    gamma_train_max: float
    active_atoms: dict[str, int]
    seconds: dict[str, float]


@dataclass
class _Fold:
    energy: RowStream
    force: RowStream
    stress: RowStream


@dataclass
class _Rows:
    """Everything that is gathered from the frames: rows by fold and kind, descriptors for the active set."""

    folds: list[_Fold] = field(default_factory=list)
    descriptors: list[FloatArray] = field(default_factory=list)
    types: list[IntArray] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Solution:
    coefficients: FloatArray
    ridge: float
    ridge_scores: dict[float, float]
    n_rows: int
    errors: TrainingErrors


def fit_pod(frames: Frames, references: Mapping[str, float], settings: PodSettings, folder: Path) -> PodFit:
    """Return a POD potential, with `param.pod`, `model.pod` and `active_set.npz` written to `folder`.

    The fit is on energies relative to per-element energies: those of the isolated atoms, and with a free one-body term the
    least-squares fit of the remainder; they return in the one-body coefficients. Same input, same coefficients.

    :param frames: labelled frames, without isolated atoms.
    :param references: eV, energy of the isolated atom of each element.
    :raises FitError: frames without labels, an element without training atoms, or a fit that makes no sense.
    :raises InputError: frames on which POD would crash, or settings that contradict the frames.
    """
    require_trainable(frames, references, settings.elements)
    shortest = require_usable(frames, settings.elements, settings.cutoff)
    basis = choose_basis(frames, settings)
    parameters = folder / PARAMETERS
    inner = min(INNER_RADIUS, round(CORE_INNER * shortest, 3))
    parameters.write_text(parameter_text(settings.elements, basis, settings.cutoff, inner), encoding='utf-8')
    base = base_energies(frames, references, settings)
    fold_of, groups = _folds(frames, settings)
    watch = _Watch()
    rows = _gather(frames, base, settings, fold_of, parameters)
    watch.stop('rows')
    solution = _solve(rows.folds, base, settings)
    require_sane(solution.coefficients, solution.errors.force, float(np.sqrt(np.mean(frames.forces**2))))
    watch.stop('solve')
    descriptors, types = np.concatenate(rows.descriptors), np.concatenate(rows.types)
    active = ActiveSet.fit(descriptors, types)
    gamma = float(active.grade(descriptors, types).max())
    watch.stop('active_set')
    (folder / COEFFICIENTS).write_text(coefficient_text(solution.coefficients), encoding='utf-8')
    active.save(folder / ACTIVE_SET)
    return PodFit(
        coefficients=solution.coefficients,
        basis=basis,
        ridge=solution.ridge,
        ridge_scores=solution.ridge_scores,
        ridge_groups=groups,
        n_rows=solution.n_rows,
        errors=solution.errors,
        cutoff=settings.cutoff,
        shortest=shortest,
        core=ZblCore(round(CORE_INNER * shortest, 4), round(CORE_OUTER * shortest, 4)) if settings.core else None,
        gamma_train_max=gamma,
        active_atoms={settings.elements[kind]: len(element.atoms) for kind, element in active.elements.items()},
        seconds=watch.seconds,
    )


def choose_basis(frames: Frames, settings: PodSettings) -> str:
    """Return the basis of the settings, or for `auto` S while the rarest element has fewer than 300 atoms, else M."""
    if settings.basis != AUTO:
        return settings.basis
    return 'M' if _compositions(frames, settings.elements).sum(axis=0).min() >= AUTO_ATOMS else 'S'


def base_energies(frames: Frames, references: Mapping[str, float], settings: PodSettings) -> FloatArray:
    """Return the energy per element that the fit takes as its zero, eV, shape (n_elements,)."""
    isolated = np.array([references[element] for element in settings.elements])
    if not settings.free_one_body:
        return isolated
    compositions = _compositions(frames, settings.elements)
    remainder = frames.energy - compositions @ isolated
    scale = frames.counts[:, None]
    return np.asarray(isolated + np.linalg.lstsq(compositions / scale, remainder / scale[:, 0], rcond=None)[0])


def _compositions(frames: Frames, elements: Sequence[str]) -> FloatArray:
    return np.array([[frames.symbols(i).count(e) for e in elements] for i in range(len(frames))], dtype=np.float64)


def _folds(frames: Frames, settings: PodSettings) -> tuple[IntArray, str]:
    if settings.ridge is not None or len(frames) == 1:
        return np.zeros(len(frames), dtype=np.int64), 'none'
    rng = np.random.default_rng(settings.seed)
    if len(np.unique(frames.lineage)) > 1:
        return group_folds(frames.lineage, N_FOLDS, rng), 'lineage'
    return group_folds(np.arange(len(frames)).astype(np.str_), N_FOLDS, rng), 'frame'


def _gather(frames: Frames, base: FloatArray, settings: PodSettings, fold_of: IntArray, parameters: Path) -> _Rows:
    gathered = _Rows()
    with PodDescriptors(settings.elements, parameters) as source:
        for index, atoms in enumerate(frames):
            has_stress = bool(frames.has_stress[index]) and settings.stress_weight > 0
            design = source.design(atoms, with_stress=has_stress)
            if not gathered.folds:
                n_columns = len(design.energy)
                gathered.folds = [_Fold(*(RowStream(n_columns) for _ in range(3))) for _ in range(int(fold_of.max()) + 1)]
            _add(gathered.folds[int(fold_of[index])], design, frames, index, base)
            gathered.descriptors.append(design.descriptors)
            gathered.types.append(design.types)
    return gathered


def _add(fold: _Fold, design: DesignRows, frames: Frames, index: int, base: FloatArray) -> None:
    n_atoms = len(design.types)
    energy = frames.energy[index] - base[design.types].sum()
    fold.energy.add(design.energy[None, :] / n_atoms, np.array([energy / n_atoms]))
    fold.force.add(design.forces, frames.forces[frames.rows(index)].ravel())
    if design.stress is not None:
        fold.stress.add(design.stress, frames.stress[index])


def _solve(folds: Sequence[_Fold], base: FloatArray, settings: PodSettings) -> _Solution:
    energies, forces, stresses = (
        [stream.factor() for stream in streams] for streams in zip(*((f.energy, f.force, f.stress) for f in folds), strict=True)
    )
    n_columns = energies[0].triangle.shape[1] - 1
    one_body = np.arange(len(base)) * (n_columns // len(base))
    weighted = []
    for energy, force, stress in zip(energies, forces, stresses, strict=True):
        factor = combine(
            [energy.scaled(settings.energy_weight), force.scaled(settings.force_weight), stress.scaled(settings.stress_weight)]
        )
        weighted.append(factor if settings.free_one_body else _without(factor, one_body))
    ridge, scores = settings.ridge or LONE_GROUP_RIDGE, {}
    if settings.ridge is None and len(weighted) > 1:
        ridge, found = choose_ridge(weighted)
        scores = dict(zip(RIDGES, found.tolist(), strict=True))
    everything = combine(weighted)
    coefficients = solve(everything, [ridge])[0]
    errors = TrainingErrors(
        energy=combine(energies).rmse(coefficients),
        force=combine(forces).rmse(coefficients),
        stress=combine(stresses).rmse(coefficients) if any(stress.n_rows for stress in stresses) else None,
    )
    coefficients[one_body] += base
    return _Solution(coefficients, ridge, scores, everything.n_rows, errors)


def _without(factor: Factor, columns: IntArray) -> Factor:
    triangle = factor.triangle.copy()
    triangle[:, columns] = 0.0  # a column of zeros gets the coefficient 0
    return Factor(triangle, factor.n_rows)


class _Watch:
    def __init__(self) -> None:
        self._since = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def stop(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] = now - self._since
        self._since = now
