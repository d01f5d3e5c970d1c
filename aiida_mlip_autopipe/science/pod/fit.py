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
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions, spread_indices
from aiida_mlip_autopipe.science.pod.committee import MEMBERS, Committee, bootstrap_coefficients, bootstrap_groups
from aiida_mlip_autopipe.science.pod.core import TOLERANCES, CorePath, core_factor, core_paths
from aiida_mlip_autopipe.science.pod.descriptors import DesignRows, PodDescriptors
from aiida_mlip_autopipe.science.pod.guards import require_sane, require_trainable, require_usable
from aiida_mlip_autopipe.science.pod.linear import RIDGES, Factor, RowStream, choose_ridge, combine, group_folds, solve
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

AUTO: Final = 'auto'
"""The basis that the training set can determine: a larger one has more descriptors per atom."""

AUTO_BASES: Final = {'L': 2000, 'M': 300}
"""Training atoms of the rarest element from which `auto` takes a basis, the largest one first; S below all of them."""

CORE_OUTER: Final = 0.8
CORE_INNER: Final = 0.6
"""ZBL is switched off between these fractions of the shortest training distance, so it never acts on a training frame."""

N_FOLDS: Final = 5

FORCELESS: Final = 100.0
"""Å; energy weight over this is the weight of the rows of the core where forces have none."""

GROUPING, WEIGHTING = 1, 2
"""Numbers beside the seed, so that folds, groups and weights of the committee do not share random numbers."""

LONE_GROUP_RIDGE: Final = 1e-6
"""Ridge for a single training frame, on which nothing can be held out."""


@dataclass(frozen=True)
class PodSettings:
    """What a fit needs besides the frames.

    :param elements: chemical symbols; their order is that of the LAMMPS types.
    :param cutoff: Å.
    :param basis: S, M, L or auto; auto takes S, M from 300 or L from 2,000 training atoms of the rarest element.
    :param energy_weight: of the energy per atom, 1/(eV/atom).
    :param force_weight: of the force components, 1/(eV/Å).
    :param stress_weight: of the stress components, 1/(eV/Å³); 0 leaves them out and saves most of the time.
    :param ridge: without unit, see :func:`~aiida_mlip_autopipe.science.pod.linear.solve`; None chooses it by cross-validation.
    :param core: whether ZBL repulsion is added below the shortest training distance.
    :param free_one_body: whether the energy of an atom without neighbours is fitted; otherwise it is the isolated atom's.
    :param seed: of the folds of the cross-validation and of the committee.
    :param members: of the bootstrap committee; 0 for none.
    :param n_predictions: training frames whose predictions are kept, for the comparison with LAMMPS.
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
    members: int = MEMBERS
    n_predictions: int = 20

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        if self.basis not in (AUTO, *BASES):
            raise InputError(f'basis is {self.basis!r}, expected one of {", ".join((AUTO, *BASES))}')
        weights = (self.energy_weight, self.force_weight, self.stress_weight)
        if not all(np.isfinite(weight) and weight >= 0 for weight in weights) or weights[0] + weights[1] == 0:
            raise InputError(f'weights of energy, force and stress are {weights}, expected at least 0, and not all 0')
        if self.ridge is not None and not 0 < self.ridge < 1:
            raise InputError(f'ridge is {self.ridge}, expected between 0 and 1')
        if self.members < 0 or self.n_predictions < 1:
            raise InputError(
                f'members is {self.members} and n_predictions {self.n_predictions}, expected at least 0 and at least 1'
            )
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
    :param members: members of the bootstrap committee; 0 where the training set has too few groups for one.
    :param core_tolerance: relative error of the core that was enough for a rising wall; None without a core.
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
    members: int = 0
    core_tolerance: float | None = None


@dataclass
class _Group:
    energy: RowStream
    force: RowStream
    stress: RowStream


@dataclass
class _Rows:
    """What is gathered: rows by group and kind, of the core, and of frames to predict; descriptors for the active set."""

    groups: list[_Group] = field(default_factory=list)
    descriptors: list[FloatArray] = field(default_factory=list)
    types: list[IntArray] = field(default_factory=list)
    kept: dict[int, DesignRows] = field(default_factory=dict)
    core: list[CorePath] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Solution:
    coefficients: FloatArray
    members: FloatArray
    ridge: float
    ridge_scores: dict[float, float]
    n_rows: int
    errors: TrainingErrors
    core_tolerance: float | None


def fit_pod(frames: Frames, references: Mapping[str, float], settings: PodSettings, folder: Path) -> PodFit:
    """Return a POD potential, with `param.pod`, `model.pod`, `active_set.npz` and, where it can be, a committee in `folder`.

    The predictions of the fit itself, rows times coefficients, are written beside it for some training frames.

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
    core = ZblCore(round(CORE_INNER * shortest, 4), round(CORE_OUTER * shortest, 4)) if settings.core else None
    base = base_energies(frames, references, settings)
    fold_of, held_out = _folds(frames, settings)
    group_of = bootstrap_groups(frames.lineage.tolist(), fold_of, np.random.default_rng([settings.seed, GROUPING]))
    watch = _Watch()
    rows = _gather(frames, base, settings, group_of, parameters, core)
    watch.stop('rows')
    _, first = np.unique(group_of, return_index=True)
    solution = _solve(rows, fold_of[first], base, settings)
    require_sane(solution.coefficients, solution.errors.force, float(np.sqrt(np.mean(frames.forces**2))))
    watch.stop('solve')
    descriptors, types = np.concatenate(rows.descriptors), np.concatenate(rows.types)
    active = ActiveSet.fit(descriptors, types)
    gamma = float(active.grade(descriptors, types).max())
    watch.stop('active_set')
    (folder / COEFFICIENTS).write_text(coefficient_text(solution.coefficients), encoding='utf-8')
    active.save(folder / ACTIVE_SET)
    _predictions(rows.kept, solution.coefficients).save(folder)
    if len(solution.members):
        Committee(settings.elements, settings.cutoff, solution.members).save(folder)
    return PodFit(
        coefficients=solution.coefficients,
        basis=basis,
        ridge=solution.ridge,
        ridge_scores=solution.ridge_scores,
        ridge_groups=held_out,
        n_rows=solution.n_rows,
        errors=solution.errors,
        cutoff=settings.cutoff,
        shortest=shortest,
        core=core,
        gamma_train_max=gamma,
        active_atoms={settings.elements[kind]: len(element.atoms) for kind, element in active.elements.items()},
        seconds=watch.seconds,
        members=len(solution.members),
        core_tolerance=solution.core_tolerance,
    )


def choose_basis(frames: Frames, settings: PodSettings) -> str:
    """Return the basis of the settings, or for `auto` the largest one for which the rarest element has enough atoms."""
    if settings.basis != AUTO:
        return settings.basis
    rarest = _compositions(frames, settings.elements).sum(axis=0).min()
    return next((basis for basis, n_atoms in AUTO_BASES.items() if rarest >= n_atoms), 'S')


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


def _gather(
    frames: Frames, base: FloatArray, settings: PodSettings, group_of: IntArray, parameters: Path, core: ZblCore | None
) -> _Rows:
    gathered = _Rows()
    to_predict = set(spread_indices(len(frames), settings.n_predictions).tolist())
    with PodDescriptors(settings.elements, parameters) as source:
        for index, atoms in enumerate(frames):
            has_stress = bool(frames.has_stress[index]) and settings.stress_weight > 0
            design = source.design(atoms, with_stress=has_stress)
            if not gathered.groups:
                n_columns = len(design.energy)
                gathered.groups = [_Group(*(RowStream(n_columns) for _ in range(3))) for _ in range(int(group_of.max()) + 1)]
            _add(gathered.groups[int(group_of[index])], design, frames, index, base)
            if index in to_predict:
                gathered.kept[index] = design
            gathered.descriptors.append(design.descriptors)
            gathered.types.append(design.types)
        if core is not None:
            gathered.core = core_paths(frames, settings.elements, core, source)
    return gathered


def _add(group: _Group, design: DesignRows, frames: Frames, index: int, base: FloatArray) -> None:
    n_atoms = len(design.types)
    energy = frames.energy[index] - base[design.types].sum()
    group.energy.add(design.energy[None, :] / n_atoms, np.array([energy / n_atoms]))
    group.force.add(design.forces, frames.forces[frames.rows(index)].ravel())
    if design.stress is not None:
        group.stress.add(design.stress, frames.stress[index])


def _predictions(kept: Mapping[int, DesignRows], coefficients: FloatArray) -> TrainerPredictions:
    """Return what the linear model itself gives: rows times coefficients, without the core, which no training frame feels."""
    return TrainerPredictions(
        frames=np.array(sorted(kept), dtype=np.int64),
        energy=np.array([kept[index].energy @ coefficients for index in sorted(kept)]),
        forces=np.concatenate([(kept[index].forces @ coefficients).reshape(-1, 3) for index in sorted(kept)]),
    )


def _solve(rows: _Rows, fold_of: IntArray, base: FloatArray, settings: PodSettings) -> _Solution:
    """Return the solution; `fold_of` names the fold of each group."""
    energies, forces, stresses = (
        [stream.factor() for stream in streams]
        for streams in zip(*((g.energy, g.force, g.stress) for g in rows.groups), strict=True)
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
    prior = _core_prior(rows.core, TOLERANCES[0], settings)
    folds = [combine([weighted[index] for index in np.flatnonzero(fold_of == fold)]) for fold in np.unique(fold_of)]
    if settings.ridge is None and len(folds) > 1:
        ridge, found = choose_ridge(folds, prior=prior)
        scores = dict(zip(RIDGES, found.tolist(), strict=True))
    tolerance, coefficients = _solve_with_core(folds, rows.core, ridge, settings)
    prior = _core_prior(rows.core, tolerance, settings)
    rng = np.random.default_rng([settings.seed, WEIGHTING])
    members = bootstrap_coefficients(weighted, ridge, members=settings.members, rng=rng, prior=prior)
    errors = TrainingErrors(
        energy=combine(energies).rmse(coefficients),
        force=combine(forces).rmse(coefficients),
        stress=combine(stresses).rmse(coefficients) if any(stress.n_rows for stress in stresses) else None,
    )
    coefficients[one_body] += base
    members[:, one_body] += base
    return _Solution(coefficients, members, ridge, scores, sum(fold.n_rows for fold in folds), errors, tolerance)


def _core_prior(paths: Sequence[CorePath], tolerance: float | None, settings: PodSettings) -> list[Factor]:
    """Return the rows of the core as factors: one, or none; two atoms that approach each other keep their one-body energies."""
    if not paths or tolerance is None:
        return []
    return [core_factor(paths, tolerance, settings.force_weight or settings.energy_weight / FORCELESS)]


def _solve_with_core(
    folds: Sequence[Factor], paths: Sequence[CorePath], ridge: float, settings: PodSettings
) -> tuple[float | None, FloatArray]:
    """Return the weakest of the tolerances with which all walls rise, or else the last, and the coefficients that it gives."""
    if not paths:
        return None, solve(combine(folds), [ridge])[0]
    for tolerance in TOLERANCES:
        coefficients = solve(combine([*_core_prior(paths, tolerance, settings), *folds]), [ridge])[0]
        if max(path.fall(coefficients) for path in paths) <= 0:
            break
    return tolerance, coefficients


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
