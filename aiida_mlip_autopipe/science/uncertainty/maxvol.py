"""MaxVol: the square submatrix of a tall matrix whose volume is locally the largest (D-optimality)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg.lapack import dgeqp3

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

TOLERANCE: Final = 1.01
"""Largest coordinate of a row in the basis of the chosen rows that is still accepted; a swap gains this factor in volume."""

MAX_SWAPS: Final = 300
BLOCK: Final = 8192
"""Rows that are handled at once, so that temporary arrays stay small."""

RANK_LIMIT: Final = 1e-13
"""Smallest ratio of the diagonal of R to its largest value at which the rows count as independent."""


@dataclass(frozen=True, eq=False)
class MaxVolResult:
    """The rows that MaxVol chose.

    :param indices: chosen rows, shape (m,).
    :param inverse: inverse of the matrix of the chosen rows, shape (m, m); `rows @ inverse` are coordinates in their basis.
    :param swaps: how often a row was exchanged.
    :param converged: whether no coordinate exceeds the tolerance.
    """

    indices: IntArray
    inverse: FloatArray
    swaps: int
    converged: bool


def maxvol(rows: FloatArray, *, tolerance: float = TOLERANCE, max_swaps: int = MAX_SWAPS) -> MaxVolResult:
    """Return m rows of an n x m matrix such that every row is a combination of them with coefficients within the tolerance.

    The start is QR with column pivoting, in a tournament of blocks; then rows are exchanged while one has a coefficient above
    the tolerance (Goreinov et al., "How to find a good submatrix", 2010). The result depends on the input alone.

    :param rows: n >= m rows of full column rank, shape (n, m). Beside it one array of this size is held.
    :param tolerance: at least 1.
    :raises FitError: fewer rows than columns, a number that is not finite, or columns that depend on each other.
    """
    n_rows, n_columns = rows.shape
    if n_rows < n_columns:
        raise FitError(f'MaxVol needs at least as many rows as columns, got {n_rows} and {n_columns}')
    if not np.isfinite(rows).all():
        raise FitError('MaxVol got a row that is not finite')
    indices = _tournament(rows)
    coordinates: FloatArray = rows @ np.linalg.inv(rows[indices])
    swaps = 0
    row, column = _largest(coordinates)
    while abs(coordinates[row, column]) > tolerance and swaps < max_swaps:
        _exchange(coordinates, row, column)
        indices[column] = row
        swaps += 1
        row, column = _largest(coordinates)
    converged = bool(abs(coordinates[row, column]) <= tolerance)
    inverse = np.asarray(np.linalg.inv(rows[indices]), dtype=np.float64)
    return MaxVolResult(indices, inverse, swaps, converged)


def _tournament(rows: FloatArray) -> IntArray:
    """Return m independent rows: the winners of blocks meet until one block is left."""
    n_columns = rows.shape[1]
    size = max(BLOCK, 4 * n_columns)
    contestants = np.arange(len(rows))
    while len(contestants) > size:
        blocks = [contestants[start : start + size] for start in range(0, len(contestants), size)]
        contestants = np.concatenate([np.sort(block[_pivots(rows[block])[0]]) for block in blocks])
    winners, diagonal = _pivots(rows[contestants])
    if len(winners) < n_columns or diagonal.min() <= RANK_LIMIT * diagonal.max():
        raise FitError(f'the {len(rows)} rows span fewer than {n_columns} dimensions')
    return contestants[winners]


def _pivots(rows: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the rows that QR with column pivoting takes first, and the absolute diagonal of R."""
    factor, order, *_ = dgeqp3(np.asfortranarray(rows.T), overwrite_a=True)
    return np.asarray(order[: rows.shape[1]] - 1, dtype=np.int64), np.abs(np.diag(factor))


def _largest(coordinates: FloatArray) -> tuple[int, int]:
    best, place = -1.0, (0, 0)
    for start in range(0, len(coordinates), BLOCK):
        block = np.abs(coordinates[start : start + BLOCK])
        row, column = divmod(int(block.argmax()), block.shape[1])
        if block[row, column] > best:
            best, place = float(block[row, column]), (start + row, column)
    return place


def _exchange(coordinates: FloatArray, row: int, column: int) -> None:
    """Put `row` in place of the chosen row of `column`: a rank-one change, B -= B[:, j] (B[i, :] - e_j) / B[i, j]."""
    pivot = coordinates[row, column]
    change = coordinates[row].copy()
    change[column] -= 1.0
    change /= pivot
    for start in range(0, len(coordinates), BLOCK):
        block = coordinates[start : start + BLOCK]
        block -= np.outer(block[:, column], change)
