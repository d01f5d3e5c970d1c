from itertools import combinations

import numpy as np
import pytest
from scipy.linalg import qr

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.science.uncertainty import maxvol as module
from aiida_mlip_autopipe.science.uncertainty.maxvol import MaxVolResult, maxvol


def coordinates(rows, result: MaxVolResult):
    return rows @ result.inverse


def test_unit_rows_that_are_enlarged_are_found():
    rows = np.random.default_rng(0).uniform(-0.1, 0.1, (40, 4))
    rows[[3, 17, 20, 33]] = 5 * np.eye(4)
    result = maxvol(rows)
    assert sorted(result.indices) == [3, 17, 20, 33]
    assert result.converged


@pytest.mark.parametrize('seed', range(4))
def test_every_row_is_dominated(seed):
    rows = np.random.default_rng(seed).normal(size=(500, 12))
    result = maxvol(rows, tolerance=1.01)
    assert result.converged
    assert np.abs(coordinates(rows, result)).max() <= 1.01 + 1e-9
    np.testing.assert_allclose(result.inverse, np.linalg.inv(rows[result.indices]), atol=1e-10)


def spread_rows(rng):
    """Rows whose lengths and columns differ by orders of magnitude."""
    return rng.normal(size=(900, 30)) * np.logspace(0, -6, 30) * rng.lognormal(0, 3, (900, 1))


@pytest.mark.parametrize('look', [1, 7, 1024])
@pytest.mark.parametrize(
    'rows',
    [
        np.random.default_rng(8).normal(size=(3000, 40)),
        np.random.default_rng(9).uniform(size=(70, 70)),
        spread_rows(np.random.default_rng(10)),
    ],
    ids=['normal', 'square', 'spread'],
)
def test_the_start_is_that_of_qr_with_pivoting(rows, look, monkeypatch):
    monkeypatch.setattr(module, 'FIRST_LOOK', look)
    monkeypatch.setattr(module, 'LOOK', look)
    *_, order = qr(rows.T, mode='r', pivoting=True)
    np.testing.assert_array_equal(maxvol(rows, max_swaps=0).indices, order[: rows.shape[1]])


def test_rows_of_equal_length_and_repeated_rows_are_no_trouble():
    rows = np.random.default_rng(11).normal(size=(600, 15))
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    rows = np.repeat(rows, 3, axis=0)
    result = maxvol(rows)
    assert result.converged
    assert len(set(result.indices // 3)) == 15
    assert np.abs(coordinates(rows, result)).max() <= 1.01 + 1e-9


def test_rows_of_zeros_are_refused():
    with pytest.raises(FitError, match='fewer than 2'):
        maxvol(np.zeros((5, 2)))


def test_volume_is_close_to_the_best_of_all_subsets():
    rows = np.random.default_rng(5).normal(size=(14, 3))
    best = max(abs(np.linalg.det(rows[list(subset)])) for subset in combinations(range(14), 3))
    assert abs(np.linalg.det(rows[maxvol(rows, tolerance=1.0001).indices])) >= 0.8 * best


def test_swaps_never_lower_the_volume(monkeypatch):
    rows = np.random.default_rng(7).normal(size=(300, 8))
    start = abs(np.linalg.det(rows[maxvol(rows, max_swaps=0).indices]))
    assert abs(np.linalg.det(rows[maxvol(rows).indices])) >= start


def test_limit_of_swaps_is_kept_and_reported():
    rows = np.random.default_rng(1).normal(size=(3000, 30))
    result = maxvol(rows, tolerance=1.0, max_swaps=1)
    assert result.swaps == 1
    assert not result.converged


def test_result_is_deterministic_and_input_is_kept():
    rows = np.random.default_rng(2).normal(size=(400, 10))
    before = rows.copy()
    first, second = maxvol(rows), maxvol(rows)
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(rows, before)


def test_blocks_give_a_dominant_set_too(monkeypatch):
    rows = np.random.default_rng(3).normal(size=(2000, 9))
    monkeypatch.setattr(module, 'BLOCK', 100)
    result = maxvol(rows)
    assert result.converged
    assert np.abs(coordinates(rows, result)).max() <= 1.01 + 1e-9


def test_too_few_rows_are_refused():
    with pytest.raises(FitError, match='2 and 3'):
        maxvol(np.ones((2, 3)))


def test_dependent_columns_are_refused():
    rows = np.random.default_rng(4).normal(size=(20, 3))
    rows[:, 2] = rows[:, 0] + rows[:, 1]
    with pytest.raises(FitError, match='fewer than 3'):
        maxvol(rows)


def test_numbers_that_are_not_finite_are_refused():
    rows = np.ones((5, 2))
    rows[2, 1] = np.nan
    with pytest.raises(FitError, match='finite'):
        maxvol(rows)
