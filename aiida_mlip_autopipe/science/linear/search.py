"""The search of a linear trainer: the basis of greatest evidence, told of its core where a wall would fall, and its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.science.linear.core import TOLERANCES, CorePath, CoreSource, core_factor, core_paths
from aiida_mlip_autopipe.science.linear.fit import (
    ENERGY,
    FitErrors,
    Gathered,
    LinearFit,
    fit_rows,
    folds_of,
    gather,
    held_out_errors,
    refit,
)
from aiida_mlip_autopipe.science.linear.guards import require_sane
from aiida_mlip_autopipe.science.linear.settings import LinearSettings

MARGIN: Final = 0.5
"""Log evidence that a larger basis must gain for each coefficient that it adds.

The evidence takes the rows of a frame for independent news, which they are not. On 22 and 30 frames of Al-Mg gains of 0.03 to 0.1
were followed by errors on unseen frames that were equal or larger by up to a half; on these and on 14 to 70 frames of Cu-Au gains
of 0.95 and more by errors smaller by 4 to 50 % (docs/train.md).
"""

FORCELESS: Final = 100.0
"""Å; energy weight over this is the weight of the rows of the core where forces have none."""


@dataclass(frozen=True)
class FitReport:
    """What a linear fit says of itself.

    :param size: name of the basis.
    :param ridge: without unit, see :func:`~science.linear.factors.solve`.
    :param weights: of each kind of rows, those of free kinds by evidence, 1/(eV/√atom), 1/(eV/Å) and 1/(eV/Å³).
    :param noise: standard deviation of what the basis cannot fit, by kind, in the unit of the rows.
    :param log_evidence: of each basis that was tried.
    :param n_determined: coefficients that the data determine.
    :param n_rows: rows of the least-squares problem.
    :param errors: on the training set.
    :param held_out: on folds that were left out, or None.
    :param held_out_groups: what was held out together: lineage, frame (a single lineage) or none.
    :param stress_offset: eV/Å³, root mean square of the pressure by which the labels differ from the derivative of the energies,
        see :mod:`~science.linear.fit`; None without stresses.
    :param core_tolerance: relative error of the core that the fit was told of; None where it needed no word.
    """

    size: str
    ridge: float
    weights: dict[str, float]
    noise: dict[str, float]
    log_evidence: dict[str, float]
    n_determined: float
    n_rows: int
    errors: FitErrors
    held_out: FitErrors | None
    held_out_groups: str
    stress_offset: float | None
    core_tolerance: float | None


@dataclass(frozen=True, eq=False)
class Found:
    """The fit that was found.

    :param rows: of the training set.
    :param fit: energies relative to the base.
    :param report: about it.
    """

    rows: Gathered
    fit: LinearFit
    report: FitReport


@dataclass(frozen=True, eq=False)
class Trial:
    """A basis that was tried.

    :param size: its name.
    :param rows: of the training set.
    :param fit: the one of greatest evidence.
    """

    size: str
    rows: Gathered
    fit: LinearFit


def climb(sizes: Sequence[str], attempt: Callable[[str], Trial]) -> tuple[Trial, dict[str, float]]:
    """Return the largest basis that is worth its coefficients, and the log evidence of each that was tried.

    :param sizes: at least one, from small to large; the first one that gains less than :data:`MARGIN` for each coefficient that
        it adds ends the search.
    """
    best, evidence = None, {}
    for size in sizes:
        trial = attempt(size)
        evidence[size] = trial.fit.evidence.log_evidence
        if best is not None:
            added = len(trial.fit.coefficients) - len(best.fit.coefficients)
            if evidence[size] - evidence[best.size] < MARGIN * added:
                return best, evidence
        best = trial
    if best is None:
        raise InputError('there is no basis to try')
    return best, evidence


class Watch:
    """Wall-clock time by phase, s."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def stop(self, phase: str) -> None:
        """End a phase, which began where the one before ended."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now


Opener = Callable[[str], AbstractContextManager[CoreSource]]
"""From the name of a basis to the rows of its functions."""


def search(
    frames: Frames, base: FloatArray, settings: LinearSettings, sizes: Sequence[str], opener: Opener, watch: Watch
) -> Found:
    """Return the fit of greatest evidence.

    :param frames: labelled frames, without isolated atoms.
    :param base: eV, energy of an atom of each element that is subtracted first, shape (n_elements,).
    :param sizes: names of the basis sets to try, from small to large.
    :raises FitError: a fit that makes no sense.
    """
    fold_of, groups = folds_of(frames, settings.seed)

    def attempt(size: str) -> Trial:
        with opener(size) as source:
            rows = gather(frames, base, source, settings, fold_of)
        watch.stop('rows')
        fit = fit_rows(rows, settings)
        watch.stop('solve')
        return Trial(size, rows, fit)

    best, evidence = climb(sizes, attempt)
    paths: list[CorePath] = []
    if settings.core:  # for the chosen basis alone: the cells of the paths are larger than those of the training set
        with opener(best.size) as source:
            paths = core_paths(frames, settings.elements, source)
        watch.stop('rows')
    tolerance, fit = fit_with_core(best, paths, settings.force_weight)
    require_sane(fit.coefficients, fit.errors.force, float(np.sqrt(np.mean(frames.forces**2))))
    held_out = held_out_errors(best.rows, fit)
    watch.stop('solve')
    return Found(best.rows, fit, _report(best, fit, evidence, held_out, (groups, tolerance)))


def _report(
    best: Trial,
    fit: LinearFit,
    evidence: dict[str, float],
    held_out: FitErrors | None,
    facts: tuple[str, float | None],
) -> FitReport:
    found = fit.evidence
    return FitReport(
        size=best.size,
        ridge=found.ridge,
        weights=found.weights,
        noise=found.noise,
        log_evidence=evidence,
        n_determined=found.n_determined,
        n_rows=best.rows.n_rows,
        errors=fit.errors,
        held_out=held_out,
        held_out_groups=facts[0],
        stress_offset=best.rows.stress_offset(fit.coefficients),
        core_tolerance=facts[1],
    )


def fit_with_core(trial: Trial, paths: Sequence[CorePath], force_weight: float) -> tuple[float | None, LinearFit]:
    """Return the fit, told of the core at the weakest tolerance with which all walls rise, or else at the last one.

    :param force_weight: of the forces in the fit, 1/(eV/Å); 0 where there are none.
    :return: the tolerance, None where all walls rise without, and the fit.
    """
    tolerance, fit = None, trial.fit
    weight = force_weight or fit.evidence.weights[ENERGY] / FORCELESS
    for candidate in TOLERANCES:
        if max((path.fall(fit.coefficients) for path in paths), default=0.0) <= 0:
            break
        tolerance, fit = candidate, refit(trial.rows, trial.fit, core_factor(paths, candidate, weight))
    return tolerance, fit
