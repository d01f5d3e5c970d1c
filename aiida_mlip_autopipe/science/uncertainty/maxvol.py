"""MaxVol: the square submatrix of a tall matrix whose volume is locally the largest (D-optimality)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

TOLERANCE: Final = 1.01
"""Largest coordinate of a row in the basis of the chosen rows that is still accepted; a swap gains this factor in volume."""

MAX_SWAPS: Final = 300
BLOCK: Final = 8192
"""Rows that are handled at once, so that temporary arrays stay small."""

FIRST_LOOK: Final = 64
LOOK: Final = 1024
"""Rows that are looked at in the search for the longest: first those that may be long, then those that may be longer still."""

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

    The start are the rows that QR with column pivoting takes; then rows are exchanged while one has a coefficient above the
    tolerance (Goreinov et al., "How to find a good submatrix", 2010). The result depends on the input alone.

    :param rows: n >= m rows of full column rank, shape (n, m). Beside it one array of this size is held.
    :param tolerance: at least 1.
    :raises FitError: fewer rows than columns, a number that is not finite, or columns that depend on each other.
    """
    n_rows, n_columns = rows.shape
    if n_rows < n_columns:
        raise FitError(f'MaxVol needs at least as many rows as columns, got {n_rows} and {n_columns}')
    if not all(np.isfinite(rows[start : start + BLOCK]).all() for start in range(0, n_rows, BLOCK)):
        raise FitError('MaxVol got a row that is not finite')
    indices = _pivots(rows)
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


def _pivots(rows: FloatArray) -> IntArray:
    """Return the m rows that QR with column pivoting of the transpose takes: each the longest beside the span of those before."""
    n_columns = rows.shape[1]
    remainders = _Remainders(rows)
    lengths = np.zeros(n_columns)
    indices = np.zeros(n_columns, dtype=np.int64)
    for place in range(n_columns):
        indices[place] = remainders.longest()
        lengths[place] = remainders.remove(indices[place])
        if not lengths[place] > RANK_LIMIT * lengths.max():
            raise FitError(f'the {len(rows)} rows span fewer than {n_columns} dimensions')
    return indices


class _Remainders:
    """What of each row lies outside of the span of the chosen rows.

    A remainder can only become shorter, so a row whose last known remainder is shorter than what is left of another one needs
    no new look. A row that does is freed of all that joined the span since its last look at once, in products of matrices:
    plain QR, which brings all rows up to date for each row it takes, is several times slower.
    """

    def __init__(self, rows: FloatArray) -> None:
        n_rows, n_columns = rows.shape
        self._rows = np.array(rows, dtype=np.float64, order='C')
        self._basis = np.zeros((n_columns, n_columns))
        self._size = 0
        self._squares: FloatArray = np.einsum('ij,ij->i', self._rows, self._rows)
        self._seen = np.zeros(n_rows, dtype=np.int64)

    def longest(self) -> int:
        """Return the row with the longest remainder."""
        first = np.argpartition(self._squares, -min(FIRST_LOOK, len(self._squares)))[-FIRST_LOOK:]
        self._update(first)
        old = np.flatnonzero((self._squares >= self._squares[first].max()) & (self._seen < self._size))
        old = old[np.argsort(self._seen[old], kind='stable')]
        for start in range(0, len(old), LOOK):
            self._update(old[start : start + LOOK])
        return int(self._squares.argmax())

    def remove(self, row: int) -> float:
        """Add a row to the span and return the length of its remainder."""
        basis, vector = self._basis[: self._size], self._rows[row].copy()
        for _ in range(2):  # rounding leaves a part within the span when the remainder is short; twice is enough
            vector -= (basis @ vector) @ basis
        length = float(np.linalg.norm(vector))
        if length > 0.0:
            self._basis[self._size] = vector / length
        self._size += 1
        self._rows[row], self._squares[row], self._seen[row] = 0.0, 0.0, self._size
        return length

    def _update(self, chosen: IntArray) -> None:
        """Take what has joined the span out of some rows."""
        if not len(chosen) or (start := int(self._seen[chosen].min())) == self._size:
            return
        joined, block = self._basis[start : self._size], self._rows[chosen]
        block -= (block @ joined.T) @ joined
        self._rows[chosen] = block
        self._squares[chosen] = np.einsum('ij,ij->i', block, block)
        self._seen[chosen] = self._size


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
