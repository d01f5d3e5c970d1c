"""Growing columns and their index, against plain lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.science.generate.columns import Column, Index


@pytest.mark.parametrize('width', [1, 3])
def test_rows_stay(width: int) -> None:
    column = Column(np.int16, width)
    rows = np.arange(1000 * width).reshape(1000, width).squeeze()
    for row in rows:
        column.append(row)
    np.testing.assert_array_equal(column.rows, rows)
    assert len(column) == 1000
    assert column._rows.nbytes <= 1.3 * rows.astype(np.int16).nbytes  # little is held in reserve
    column.clear()
    assert len(column) == len(column.rows) == 0


@settings(max_examples=30, deadline=None)
@given(
    numbers=st.lists(st.integers(-300, 300), max_size=900),
    windows=st.lists(st.tuples(st.integers(-310, 310), st.integers(0, 50)), min_size=1, max_size=5),
)
def test_windows(numbers: list[int], windows: list[tuple[int, int]]) -> None:
    index = Index(np.int32)
    for number in numbers:
        index.append(number)
    for low, width in windows:
        expected = [row for row, number in enumerate(numbers) if low <= number <= low + width]
        assert sorted(index.within(low, low + width).tolist()) == expected


def test_large_numbers() -> None:
    index = Index(np.uint64)
    numbers = np.random.default_rng(0).integers(0, 2**64, size=2000, dtype=np.uint64)
    for number in numbers:
        index.append(number)
    for row in (0, 999, 1999):
        assert index.within(numbers[row], numbers[row]).tolist() == [row]
    assert index.within(np.uint64(5), np.uint64(5)).tolist() == []
