"""The fit that the linear trainers share: rows of all frames, the greatest evidence, and what the fit says of itself.

A stress of plane waves at a constant cutoff is not the derivative of the energies at that cutoff: it lacks the pressure
-(2/3) E_cut (dE/dE_cut) / V (Pulay; Francis & Payne, J. Phys.: Condens. Matter 2, 4395, 1990), and dE/dE_cut is nearly a sum over
atoms. So stresses are fitted up to a pressure Σ_e n_e p_e / V, whose p_e is found with the coefficients and then forgotten.
Forces and energies are those of one function, and the potential must not pay for a stress that is not theirs. Only energies of
the same atoms at several volumes tell such a pressure from one of the potential; where there are none, stresses are believed.
A cell with a vacancy is no crystal at a larger volume, so the number of atoms has to be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions, spread_indices
from aiida_mlip_autopipe.science.linear.evidence import Evidence, Kind, maximise
from aiida_mlip_autopipe.science.linear.factors import Factor, RowStream, column_norms, combine, group_folds, solve
from aiida_mlip_autopipe.science.linear.posterior import NOISES, Posterior
from aiida_mlip_autopipe.science.linear.rows import DesignRows, RowSource
from aiida_mlip_autopipe.science.linear.settings import ENERGY_WEIGHT, FIRST_STRESS_WEIGHT, LinearSettings, compositions

N_FOLDS: Final = 5

ENERGY, FORCE, STRESS = 'energy', 'force', 'stress'
PRESSED: Final = 'pressed_stress'
"""Rows of the stress with the columns of the pressures before them."""

PER_ATOM: Final = 'energy_per_atom'
"""Rows E/N beside those of E/√N: errors are told in eV/atom."""

FREE_COLUMN: Final = 1e-3
"""Norm of a column of the one-body energies in the ridge, over its true one: their size says nothing, they are hardly bound."""

VOLUME_SPREAD: Final = 0.02
"""Square root of Σ (δV/V)² over the frames of the same atoms from which on a pressure of the labels is told from one of the
potential: energies that are known to 1 meV in atoms of 16 Å³ then say it to 0.5 GPa. On 20 frames of Cu3Au (EMT) of one volume
any fit with such a pressure was lost (33 in place of 2 meV/atom at other volumes); with a spread of about 0.02 none was.
"""


@dataclass(frozen=True)
class FitErrors:
    """Root mean square errors: energy in eV/atom, force in eV/Å, stress in eV/Å³ or None."""

    energy: float
    force: float
    stress: float | None


@dataclass(frozen=True, eq=False)
class Gathered:
    """The rows of a training set for one basis.

    :param folds: factors by kind, for each fold.
    :param descriptors: of all atoms, shape (n_atoms, n_descriptors).
    :param types: position of each atom's element, shape (n_atoms,).
    :param kept: rows of the frames whose predictions are kept, by index.
    :param one_body: columns of the one-body energies, by element.
    :param roughness: of each column, see `rows.RowSource`.
    """

    folds: list[dict[str, Factor]]
    descriptors: FloatArray
    types: IntArray
    kept: dict[int, DesignRows]
    one_body: IntArray
    roughness: FloatArray

    def all(self, kind: str) -> Factor:
        """Return the factor of the rows of one kind of all folds."""
        return self._combined[kind]

    def fitted(self, kind: str, *, without: int | None = None) -> Factor:
        """Return the factor of the rows that a fit minimises: of the stresses, what no pressure of the elements explains.

        :param without: number of a fold that is left out.
        """
        source = PRESSED if kind == STRESS else kind
        rows = self.all(source) if without is None else combine([f[source] for i, f in enumerate(self.folds) if i != without])
        return rows.split(self._n_pressures)[1] if kind == STRESS else rows

    def stress_offset(self, coefficients: FloatArray) -> float | None:
        """Return the root mean square of the pressure by which the labels differ from the derivative of the energies, eV/Å³."""
        count, rows = self._n_pressures, self.all(PRESSED)
        if not rows.n_rows:
            return None
        first = rows.split(count)[0].triangle  # of the columns of the pressures alone and, beside them, of what they explain
        explained = first[:, count:] @ np.append(-coefficients, 1.0)
        return float(np.linalg.norm(explained) / np.sqrt(rows.n_rows / 2))

    @property
    def _n_pressures(self) -> int:
        pressed, plain = (self.folds[0][kind].triangle.shape[1] for kind in (PRESSED, STRESS))
        return pressed - plain

    @cached_property
    def _combined(self) -> dict[str, Factor]:
        """Made once: a decomposition for each kind, which fits and errors ask for again and again."""
        return {kind: combine([fold[kind] for fold in self.folds]) for kind in self.folds[0]}

    @property
    def n_rows(self) -> int:
        """Rows that are fitted."""
        return sum(fold[kind].n_rows for fold in self.folds for kind in (ENERGY, FORCE, STRESS))


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A solution, energies relative to the base.

    :param coefficients: eV, shape (n_coefficients,).
    :param evidence: ridge, weights and noise, before anything was added to the rows.
    :param errors: on the training set.
    """

    coefficients: FloatArray
    evidence: Evidence
    errors: FitErrors

    def posterior(self) -> Posterior:
        """Return the covariance of the coefficients, with the noise."""
        return Posterior(self.evidence.covariance_root, {name: self.evidence.noise.get(name, 0.0) for name in NOISES})


@dataclass
class _Streams:
    kinds: dict[str, RowStream] = field(default_factory=dict)

    def add(self, kind: str, rows: FloatArray, values: FloatArray, *, size: float = 0.0) -> None:
        self.kinds.setdefault(kind, RowStream(rows.shape[1])).add(rows, values, size=size)

    def factors(self, n_columns: int, n_pressures: int) -> dict[str, Factor]:
        widths = dict.fromkeys((ENERGY, PER_ATOM, FORCE, STRESS), n_columns) | {PRESSED: n_pressures + n_columns}
        return {k: self.kinds[k].factor() if k in self.kinds else Factor.empty(width) for k, width in widths.items()}


def folds_of(frames: Frames, seed: int) -> tuple[IntArray, str]:
    """Return the fold of each frame, shape (n_frames,), and what is held out together: lineage, frame or none."""
    rng = np.random.default_rng(seed)
    if len(frames) == 1:
        return np.zeros(1, dtype=np.int64), 'none'
    if len(np.unique(frames.lineage)) > 1:
        return group_folds(frames.lineage, N_FOLDS, rng), 'lineage'
    return group_folds(np.arange(len(frames)).astype(np.str_), N_FOLDS, rng), 'frame'


def gather(frames: Frames, base: FloatArray, source: RowSource, settings: LinearSettings, fold_of: IntArray) -> Gathered:
    """Return the rows of labelled frames.

    :param base: eV, energy of an atom of each element that is subtracted first, shape (n_elements,).
    :param fold_of: fold of each frame, shape (n_frames,).
    """
    streams = [_Streams() for _ in range(int(fold_of.max()) + 1)]
    pressures = _pressures(frames, settings.elements)
    to_keep = set(spread_indices(len(frames), settings.n_predictions).tolist())
    descriptors, types, kept = [], [], {}
    for index, atoms in enumerate(frames):
        has_stress = bool(frames.has_stress[index]) and settings.uses_stress
        design = source.design(atoms, with_stress=has_stress)
        _add(streams[int(fold_of[index])], design, frames, index, base)
        if design.stress is not None:
            _add_stress(streams[int(fold_of[index])], design.stress, frames.stress[index], pressures[index])
        if index in to_keep:
            kept[index] = design
        descriptors.append(design.descriptors)
        types.append(design.types)
    factors = [own.factors(len(design.energy), pressures.shape[1]) for own in streams]
    return Gathered(factors, np.concatenate(descriptors), np.concatenate(types), kept, source.one_body, source.roughness)


def _add(streams: _Streams, design: DesignRows, frames: Frames, index: int, base: FloatArray) -> None:
    n_atoms = len(design.types)
    energy = np.array([frames.energy[index] - base[design.types].sum()])
    streams.add(ENERGY, design.energy[None, :] / np.sqrt(n_atoms), energy / np.sqrt(n_atoms))
    streams.add(PER_ATOM, design.energy[None, :] / n_atoms, energy / n_atoms)
    size = float(np.abs(design.energy).max(initial=0.0)) / n_atoms
    streams.add(FORCE, design.forces, frames.forces[frames.rows(index)].ravel(), size=size)


def _add_stress(streams: _Streams, rows: FloatArray, values: FloatArray, pressures: FloatArray) -> None:
    size = float(np.abs(rows).max(initial=0.0))
    streams.add(STRESS, rows, values, size=size)
    columns = np.zeros((6, len(pressures)))
    columns[:3] = pressures
    streams.add(PRESSED, np.hstack([columns, rows]), values, size=size)


def _pressures(frames: Frames, elements: Sequence[str]) -> FloatArray:
    """Return the pressure in each frame of each independent pressure that energies can tell, shape (n_frames, n_pressures)."""
    counts, volumes = compositions(frames, elements), np.abs(np.linalg.det(frames.cells))
    densities = counts * (np.median(volumes / frames.counts) / volumes)[:, None]
    chosen = densities[frames.has_stress]
    _, same = np.unique(counts[frames.has_stress], axis=0, return_inverse=True)
    means = np.array([np.bincount(same, column) for column in chosen.T]).T / np.bincount(same)[:, None]
    _, spread, directions = np.linalg.svd(chosen - means[same], full_matrices=False)
    return np.asarray(densities @ directions[spread > VOLUME_SPREAD].T)


def fit_rows(rows: Gathered, settings: LinearSettings) -> LinearFit:
    """Return the fit of greatest evidence.

    :raises FitError: no rows.
    """
    kinds = _kinds(rows, settings)
    norms = column_norms(combine([kind.factor.scaled(kind.weight) for kind in kinds.values()]))
    norms *= rows.roughness
    norms[rows.one_body] *= FREE_COLUMN
    found = maximise(kinds, ridge=settings.ridge, norms=norms)
    return LinearFit(found.coefficients, found, errors_of(rows, found.coefficients))


def refit(rows: Gathered, fit: LinearFit, extra: Factor) -> LinearFit:
    """Return the fit with rows added that are no data, such as those of a core, at the ridge and the weights that were found.

    :param extra: rows in units of the weighted ones.
    """
    evidence = fit.evidence
    weighted = [rows.fitted(kind).scaled(weight) for kind, weight in evidence.weights.items()]
    coefficients = solve(combine([extra, *weighted]), evidence.ridge, norms=evidence.norms)
    return LinearFit(coefficients, evidence, errors_of(rows, coefficients))


def held_out_errors(rows: Gathered, fit: LinearFit) -> FitErrors | None:
    """Return the errors on each fold of fits to the others, at the ridge and the weights that were found.

    Folds hold whole lineages, so this is a test of extrapolation: a composition that stands in one lineage is never seen.

    :return: None where there is only one fold.
    """
    if len(rows.folds) < 2:
        return None
    evidence = fit.evidence
    squares = dict.fromkeys((PER_ATOM, FORCE, STRESS), 0.0)
    for out, held in enumerate(rows.folds):
        others = [rows.fitted(kind, without=out).scaled(weight) for kind, weight in evidence.weights.items()]
        coefficients = solve(combine(others), evidence.ridge, norms=evidence.norms)
        for kind in squares:
            squares[kind] += held[kind].squared_error(coefficients)
    return _errors(lambda kind: squares[kind], {kind: sum(fold[kind].n_rows for fold in rows.folds) for kind in squares})


def errors_of(rows: Gathered, coefficients: FloatArray) -> FitErrors:
    """Return the errors of coefficients on the training set."""
    factors = {kind: rows.all(kind) for kind in (PER_ATOM, FORCE, STRESS)}
    return _errors(lambda kind: factors[kind].squared_error(coefficients), {k: f.n_rows for k, f in factors.items()})


def predictions_of(rows: Gathered, coefficients: FloatArray, base: FloatArray) -> TrainerPredictions:
    """Return what the linear model itself gives: rows times coefficients, without the core, which no training frame feels.

    :param coefficients: relative to `base`.
    :param base: eV, energy of an atom of each element, added again, shape (n_elements,).
    """
    chosen = sorted(rows.kept)
    designs = [rows.kept[index] for index in chosen]
    return TrainerPredictions(
        frames=np.array(chosen, dtype=np.int64),
        energy=np.array([design.energy @ coefficients + base[design.types].sum() for design in designs]),
        forces=np.concatenate([(design.forces @ coefficients).reshape(-1, 3) for design in designs]),
    )


def _errors(square: Callable[[str], float], counts: Mapping[str, int]) -> FitErrors:
    energy, force = (float(np.sqrt(square(kind) / max(counts[kind], 1))) for kind in (PER_ATOM, FORCE))
    return FitErrors(energy, force, float(np.sqrt(square(STRESS) / counts[STRESS])) if counts[STRESS] else None)


def _kinds(rows: Gathered, settings: LinearSettings) -> dict[str, Kind]:
    """Return the rows of each kind that counts; the forces come first, whose weight the ridge refers to."""
    asked = {
        FORCE: (settings.force_weight, 1.0),
        ENERGY: (settings.energy_weight, ENERGY_WEIGHT * (settings.force_weight or 1.0)),
        STRESS: (settings.stress_weight, FIRST_STRESS_WEIGHT * (settings.force_weight or 1.0)),
    }
    return {
        name: Kind(rows.fitted(name), first if weight is None else weight, is_free=weight is None)
        for name, (weight, first) in asked.items()
        if weight != 0
    }
