"""Columns of numbers that grow row by row, and an index of them that finds the rows within a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aiida_mlip_autopipe.common.frames import IntArray

_GROWTH = 1.25
"""Factor by which a full column grows: at most a fifth of it is unused."""

_RECENT = 256
"""Rows of an index that are looked through one by one before they are sorted in."""


class Column:
    """An array to which rows are added at the end.

    :param dtype: of its numbers.
    :param width: numbers in each row.
    """

    def __init__(self, dtype: npt.DTypeLike, width: int = 1) -> None:
        self._rows = np.zeros((16, width) if width > 1 else 16, dtype=dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def append(self, row: npt.ArrayLike) -> None:
        """Add one row."""
        if self._used == len(self._rows):
            more = np.zeros((int(self._used * _GROWTH) + 1, *self._rows.shape[1:]), dtype=self._rows.dtype)
            more[: self._used] = self._rows
            self._rows = more
        self._rows[self._used] = row
        self._used += 1

    @property
    def rows(self) -> npt.NDArray[Any]:
        """All rows added so far; a view."""
        return self._rows[: self._used]

    def clear(self) -> None:
        """Forget all rows."""
        self._used = 0


class Index:
    """Finds the rows whose number lies in a window, in time that grows with the logarithm of their number.

    :param dtype: of the numbers.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._numbers = np.zeros(0, dtype=dtype)
        self._rows = np.zeros(0, dtype=np.int32)
        self._recent = Column(dtype)

    def append(self, number: Any) -> None:
        """Add the number of the next row."""
        self._recent.append(number)
        if len(self._recent) == _RECENT:
            self._sort_in()

    def within(self, low: Any, high: Any) -> IntArray:
        """Return the rows with low <= number <= high."""
        recent = self._recent.rows
        late = ((recent >= low) & (recent <= high)).nonzero()[0] + len(self._rows)
        if not len(self._rows):
            return late
        start, end = self._numbers.searchsorted(low), self._numbers.searchsorted(high, side='right')
        return late if start == end else np.concatenate([self._rows[start:end], late])

    def _sort_in(self) -> None:
        recent = self._recent.rows
        order = np.argsort(recent, kind='stable')
        places = self._numbers.searchsorted(recent[order])
        rows = (order + len(self._rows)).astype(np.int32)
        self._numbers = np.insert(self._numbers, places, recent[order])
        self._rows = np.insert(self._rows, places, rows)
        self._recent.clear()
