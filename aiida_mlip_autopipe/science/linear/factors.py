"""Ridge least squares on rows that arrive in portions: QR factors that can be scaled, combined and held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

PORTION: Final = 4
"""Rows are reduced when they number more than this many times the columns."""

SILENT: Final = 1e-8
"""Size of a row, over that of an ordinary one, below which symmetry has made it zero and rounding alone fills it."""

_EMPTY_COLUMN: Final = 1e-12


@dataclass(frozen=True, eq=False)
class Factor:
    """Triangular factor of the rows [A | y]: all that a least-squares fit needs to know of them.

    |A c - y|² = |T (c, -1)|² holds for every c, and the factors of two sets of rows give the factor of their union.

    :param triangle: T, shape (at most n_columns + 1, n_columns + 1), the last column for the values y.
    :param n_rows: number of rows that went in.
    :param n_silent: those among them that hold for any coefficients, such as the forces of a perfect crystal: no news.
    """

    triangle: FloatArray
    n_rows: int
    n_silent: int = 0

    @classmethod
    def empty(cls, n_columns: int) -> Factor:
        """Return the factor of no rows."""
        return cls(np.zeros((0, n_columns + 1)), 0)

    def scaled(self, weight: float) -> Factor:
        """Return the factor of the rows times `weight`."""
        return Factor(self.triangle * weight, self.n_rows, self.n_silent)

    def split(self, count: int) -> tuple[Factor, Factor]:
        """Return what is known of the first `count` coefficients for given others, and the rows that are left for the others.

        The second is the factor with the first columns integrated out: no values of them can make its rows fit better.
        """
        first = Factor(self.triangle[:count], min(count, self.n_rows))
        return first, Factor(self.triangle[count:, count:], max(self.n_rows - count, 0), self.n_silent)

    @property
    def n_telling(self) -> int:
        """Rows that say something of the coefficients or of the noise."""
        return self.n_rows - self.n_silent

    def squared_error(self, coefficients: FloatArray) -> float:
        """Return |A c - y|², summed over the rows."""
        residual = self.triangle @ np.append(coefficients, -1.0)
        return float(residual @ residual)


class RowStream:
    """Rows that arrive in portions; memory stays at a few times n_columns²."""

    def __init__(self, n_columns: int) -> None:
        self._factor = Factor.empty(n_columns)
        self._waiting: list[FloatArray] = []
        self._n_waiting = 0
        self._n_silent = 0

    def add(self, rows: FloatArray, values: FloatArray, *, size: float = 0.0) -> None:
        """Add rows.

        :param rows: shape (n_rows, n_columns).
        :param values: shape (n_rows,).
        :param size: of an ordinary row; one that is smaller by eight orders of magnitude is silent.
        """
        self._waiting.append(np.column_stack([rows, values]))
        self._n_waiting += len(values)
        self._n_silent += int((np.abs(rows).max(axis=1, initial=0.0) < SILENT * size).sum())
        if self._n_waiting > PORTION * self._factor.triangle.shape[1]:
            self._reduce()

    def factor(self) -> Factor:
        """Return the factor of all rows so far."""
        self._reduce()
        return self._factor

    def _reduce(self) -> None:
        if self._waiting:
            triangle = triangular(np.vstack([self._factor.triangle, *self._waiting]))
            self._factor = Factor(triangle, self._factor.n_rows + self._n_waiting, self._n_silent)
            self._waiting, self._n_waiting = [], 0


def triangular(rows: FloatArray) -> FloatArray:
    """Return R of the QR decomposition of rows, shape (at most n_columns, n_columns)."""
    return np.asarray(np.linalg.qr(rows, mode='r'), dtype=np.float64)


def combine(factors: Sequence[Factor]) -> Factor:
    """Return the factor of the rows of all `factors`, of which there is at least one."""
    stacked = np.vstack([factor.triangle for factor in factors])
    n_rows, n_silent = (sum(column) for column in zip(*((factor.n_rows, factor.n_silent) for factor in factors), strict=True))
    return Factor(triangular(stacked), n_rows, n_silent)


def column_norms(factor: Factor) -> FloatArray:
    """Return the norm of each column of A, shape (n_columns,); 0 for a column that rounding alone fills.

    :raises FitError: no rows.
    """
    if factor.n_rows == 0:
        raise FitError('a least-squares fit needs at least one row, got none')
    norms = np.sqrt((factor.triangle[:, :-1] ** 2).sum(axis=0))
    return np.where(norms <= _EMPTY_COLUMN * norms.max(), 0.0, norms)


def solve(factor: Factor, ridge: float, *, norms: FloatArray | None = None) -> FloatArray:
    """Return the coefficients that minimise |A c - y|² + ridge |S c|², S the norms of the columns of A.

    So a ridge has no unit, and its effect does not depend on the scale of a descriptor or on the number of rows.

    :param norms: S, when it is not that of these rows; shape (n_columns,).
    :return: shape (n_columns,); 0 for a column of zeros.
    :raises FitError: no rows.
    """
    scale = column_norms(factor) if norms is None else norms
    is_empty = scale == 0.0
    matrix, values = factor.triangle[:, :-1], factor.triangle[:, -1]
    scaled = np.where(is_empty, 0.0, matrix / np.where(is_empty, 1.0, scale))
    left, singular, right = np.linalg.svd(scaled, full_matrices=False)
    coefficients = (singular / (singular**2 + ridge) * (left.T @ values)) @ right
    return np.where(is_empty, 0.0, coefficients / np.where(is_empty, 1.0, scale))


def group_folds(groups: npt.NDArray[np.str_], n_folds: int, rng: np.random.Generator) -> IntArray:
    """Return the fold of each member, shape (n_members,); members of one group share a fold, and folds are of similar size.

    :param groups: name of each member's group.
    :param n_folds: at most this many folds; fewer when there are fewer groups.
    """
    names, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
    n_folds = min(n_folds, len(names))
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts[order], kind='stable')]
    fold_of_group = np.zeros(len(names), dtype=np.int64)
    sizes = np.zeros(n_folds, dtype=np.int64)
    for group in order:
        fold_of_group[group] = sizes.argmin()
        sizes[fold_of_group[group]] += counts[group]
    return np.asarray(fold_of_group[members], dtype=np.int64)
