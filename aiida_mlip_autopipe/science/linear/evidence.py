"""Bayesian linear regression: ridge, noise of each kind of rows and the size of a basis by the greatest evidence.

The rows of a kind k (energies, forces, stresses) are y_k = A_k c + noise of variance s_k², the coefficients have the prior
precision a S², S the norms of the weighted columns. The log evidence is that of the data with c integrated out,

    log p(y) = ½ [Σ_k n_k log(1/s_k²) - Σ_k |y_k - A_k c|²/s_k² - a |S c|² - log det(1 + B/a) - n log 2π],

with c the most probable coefficients and B = Σ_k S⁻¹ A_kᵀ A_k S⁻¹ / s_k² (MacKay, Neural Computation 4, 415, 1992; for ACE:
Witt et al., J. Chem. Phys. 159, 164101, 2023). For given ratios of the s_k one singular value decomposition gives it for every
a. A kind that is free gets MacKay's fixed point, s_k² = |y_k - A_k c|² / (n_k - g_k), g_k the coefficients that it determines.
Rows that symmetry makes zero, the forces of a perfect crystal, are not among the n_k: any coefficients hold them exactly, and
each would speak for less noise than there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.linear.factors import Factor, column_norms, combine

RIDGE_POWERS: Final = (-14.0, 0.0)
"""Powers of ten between which the ridge is sought; below them rounding decides."""

GRID: Final = 113
"""Ridges that are looked at before the best one is refined: eight in each power of ten, so that no second maximum is missed."""

MAX_ITERATIONS: Final = 40
TOLERANCE: Final = 0.02
"""Relative change of a free noise at which the iteration ends; the evidence is flat there."""

FLOOR: Final = 1e-7
"""Smallest noise, in root mean squares of the values: rows cannot be known better than that; values of 0 have its square."""

LEAST_FREEDOM: Final = 0.01
"""Smallest share of the rows of a kind that counts as not used up by the coefficients."""


@dataclass(frozen=True, eq=False)
class Kind:
    """Rows of one kind, in their own unit.

    :param factor: of the rows.
    :param weight: of a row, one over the unit of the values; only ratios between kinds matter.
    :param is_free: whether its noise is sought for itself; the noises of the others keep the ratios of their weights.
    """

    factor: Factor
    weight: float
    is_free: bool = False


@dataclass(frozen=True, eq=False)
class Evidence:
    """The most probable fit.

    :param coefficients: shape (n_columns,).
    :param ridge: prior precision over that of a row of weight 1, see :func:`~science.linear.factors.solve`; dimensionless.
    :param weights: of each kind, as used: those of free kinds were found.
    :param norms: S, norms of the weighted columns that the ridge refers to, shape (n_columns,).
    :param noise: standard deviation of the rows of each kind, in the unit of its values.
    :param log_evidence: natural logarithm of the density of all values.
    :param n_determined: coefficients that the data determine, gamma = Σ s²/(s² + ridge).
    :param covariance_root: R with R Rᵀ the covariance of the coefficients, shape (n_columns, n_columns).
    """

    coefficients: FloatArray
    ridge: float
    weights: dict[str, float]
    norms: FloatArray
    noise: dict[str, float]
    log_evidence: float
    n_determined: float
    covariance_root: FloatArray


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Singular values s, right vectors and projected values of the weighted and scaled rows; what no coefficient can fit."""

    singular: FloatArray
    right: FloatArray
    projected: FloatArray
    rest: float
    n_rows: int


def maximise(kinds: Mapping[str, Kind], *, ridge: float | None = None, norms: FloatArray | None = None) -> Evidence:
    """Return the fit of greatest evidence.

    :param kinds: rows by name; those without rows are left out. At least one kind with rows is not free, or all are.
    :param ridge: given, dimensionless; None seeks it.
    :param norms: S, when it is not that of the columns at the first weights, shape (n_columns,).
    :raises FitError: no rows.
    """
    present = {name: kind for name, kind in kinds.items() if kind.factor.n_telling}
    if not present:
        raise FitError('a fit needs at least one row, got none')
    weights = {name: kind.weight for name, kind in present.items()}
    scale = column_norms(_weighted(present, weights)) if norms is None else norms
    free = [name for name, kind in present.items() if kind.is_free]
    if len(free) == len(present):
        # a common factor of all weights is the noise itself; its error would be that of the kind with the fewest rows
        free.remove(max(free, key=lambda name: present[name].factor.n_telling))
    for _ in range(MAX_ITERATIONS if free else 1):
        spectrum = _decompose(_weighted(present, weights), scale)
        best = _best_ridge(spectrum) if ridge is None else ridge
        found = {name: _noise_of(present[name], spectrum, best, scale, weights[name]) for name in free}
        precision = _precision(spectrum, best)
        new = {name: float(1 / (found[name] * np.sqrt(precision))) for name in free}
        change = max((abs(np.log(new[name] / weights[name])) for name in free), default=0.0)
        if change < TOLERANCE:
            break
        weights |= new
    else:
        spectrum = _decompose(_weighted(present, weights), scale)
        best = _best_ridge(spectrum) if ridge is None else ridge
    return _result(present, weights, scale, spectrum, best)


def _weighted(kinds: Mapping[str, Kind], weights: Mapping[str, float]) -> Factor:
    return combine([kind.factor.scaled(weights[name]) for name, kind in kinds.items()])


def _inverse(scale: FloatArray) -> FloatArray:
    """Return 1/S, 0 for a column of zeros."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)


def _decompose(factor: Factor, scale: FloatArray) -> _Spectrum:
    rows = np.zeros((max(factor.triangle.shape), len(scale) + 1))  # square at least: directions without data count, too
    rows[: len(factor.triangle)] = factor.triangle
    values = rows[:, -1]
    left, singular, right = np.linalg.svd(rows[:, :-1] * _inverse(scale), full_matrices=False)
    projected = left.T @ values
    rest = values - left @ projected
    return _Spectrum(singular, right, projected, float(rest @ rest), factor.n_telling)


def _cost(spectrum: _Spectrum, ridge: float) -> float:
    """Return |A c - y|² + ridge |S c|² at its minimum, not below what rounding leaves of the values."""
    size = spectrum.rest + float(spectrum.projected @ spectrum.projected)
    cost = spectrum.rest + float((spectrum.projected**2 * ridge / (spectrum.singular**2 + ridge)).sum())
    return max(cost, FLOOR**2 * (size + FLOOR**2 * spectrum.n_rows))


def _precision(spectrum: _Spectrum, ridge: float) -> float:
    """Return 1/sigma² of a row of weight 1, of greatest evidence for this ridge."""
    return spectrum.n_rows / _cost(spectrum, ridge)


def _log_evidence(spectrum: _Spectrum, ridge: float) -> float:
    """Return the log evidence of rows of weight 1 at the best precision."""
    n = spectrum.n_rows
    occam = float(np.log1p(spectrum.singular**2 / ridge).sum())
    return 0.5 * (n * np.log(_precision(spectrum, ridge)) - n - occam - n * np.log(2 * np.pi))


def _best_ridge(spectrum: _Spectrum) -> float:
    powers = np.linspace(*RIDGE_POWERS, GRID)
    values = [_log_evidence(spectrum, 10.0**power) for power in powers]
    place = int(np.argmax(values))
    low, high = powers[max(place - 1, 0)], powers[min(place + 1, GRID - 1)]
    fine = minimize_scalar(lambda power: -_log_evidence(spectrum, 10.0**power), bounds=(low, high), method='bounded')
    return float(10.0 ** (fine.x if -fine.fun >= values[place] else powers[place]))


def _scaled_coefficients(spectrum: _Spectrum, ridge: float) -> FloatArray:
    return np.asarray((spectrum.singular / (spectrum.singular**2 + ridge) * spectrum.projected) @ spectrum.right)


def _noise_of(kind: Kind, spectrum: _Spectrum, ridge: float, scale: FloatArray, weight: float) -> float:
    """Return MacKay's noise of one kind, sqrt(|y - A c|² / (n - gamma)), in the unit of its values."""
    matrix, values = kind.factor.triangle[:, :-1] * _inverse(scale), kind.factor.triangle[:, -1]
    residual = matrix @ _scaled_coefficients(spectrum, ridge) - values
    turned = matrix @ spectrum.right.T / np.sqrt(spectrum.singular**2 + ridge)
    used = weight**2 * float((turned**2).sum())
    n_rows = kind.factor.n_telling
    freedom = max(n_rows - used, LEAST_FREEDOM * n_rows)
    floor = FLOOR * np.sqrt(values @ values / n_rows) + FLOOR**2 / kind.weight
    return float(max(np.sqrt(residual @ residual / freedom), floor))


def _result(
    kinds: Mapping[str, Kind], weights: dict[str, float], scale: FloatArray, spectrum: _Spectrum, ridge: float
) -> Evidence:
    sigma = 1 / np.sqrt(_precision(spectrum, ridge))
    units = sum(kind.factor.n_telling * np.log(weights[name]) for name, kind in kinds.items())
    root = (_inverse(scale)[:, None] * spectrum.right.T) * (sigma / np.sqrt(spectrum.singular**2 + ridge))
    return Evidence(
        coefficients=_inverse(scale) * _scaled_coefficients(spectrum, ridge),
        ridge=ridge,
        weights=weights,
        norms=scale,
        noise={name: float(sigma / weight) for name, weight in weights.items()},
        log_evidence=float(_log_evidence(spectrum, ridge) + units),
        n_determined=float((spectrum.singular**2 / (spectrum.singular**2 + ridge)).sum()),
        covariance_root=root,
    )
