import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.science.linear.factors import Factor, RowStream, column_norms, combine, group_folds, solve


def problem(seed=0, n_rows=200, n_columns=6, noise=0.1):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, n_columns))
    truth = rng.normal(size=n_columns)
    return rows, rows @ truth + noise * rng.normal(size=n_rows), truth


def factor_of(rows, values, portion=7):
    stream = RowStream(rows.shape[1])
    for start in range(0, len(rows), portion):
        stream.add(rows[start : start + portion], values[start : start + portion])
    return stream.factor()


def test_streamed_fit_equals_numpy():
    rows, values, _ = problem()
    expected = np.linalg.lstsq(rows, values, rcond=None)[0]
    np.testing.assert_allclose(solve(factor_of(rows, values), 1e-14), expected, atol=1e-10)


@pytest.mark.parametrize('ridge', [1e-6, 1e-2, 0.5])
def test_ridge_equals_the_normal_equations(ridge):
    rows, values, _ = problem()
    norms = np.linalg.norm(rows, axis=0)
    expected = np.linalg.solve(rows.T @ rows + ridge * np.diag(norms**2), rows.T @ values)
    np.testing.assert_allclose(solve(factor_of(rows, values), ridge), expected, atol=1e-10)


def test_error_of_any_coefficients_follows_from_the_factor():
    rows, values, truth = problem()
    factor = factor_of(rows, values)
    for coefficients in (truth, np.zeros(6), np.ones(6)):
        assert factor.squared_error(coefficients) == pytest.approx(np.sum((rows @ coefficients - values) ** 2))


def test_combined_factors_equal_the_factor_of_all_rows():
    rows, values, truth = problem()
    parts = combine([factor_of(rows[:50], values[:50]), Factor.empty(6), factor_of(rows[50:], values[50:])])
    assert parts.n_rows == 200
    assert parts.squared_error(truth) == pytest.approx(factor_of(rows, values).squared_error(truth))


def test_the_first_columns_are_split_off():
    rows, values, _ = problem()
    first, rest = factor_of(rows, values).split(2)
    others = np.array([0.5, -1.0, 2.0, 0.1])
    left = values - rows[:, 2:] @ others
    best = np.linalg.lstsq(rows[:, :2], left, rcond=None)[0]
    assert rest.squared_error(others) == pytest.approx(np.sum((rows[:, :2] @ best - left) ** 2))
    assert (first.n_rows, rest.n_rows) == (2, 198)
    found = np.linalg.solve(first.triangle[:, :2], first.triangle[:, 2:] @ np.append(-others, 1.0))
    np.testing.assert_allclose(found, best)


def test_weights_scale_rows():
    rows, values, truth = problem()
    assert factor_of(rows, values).scaled(3.0).squared_error(truth) == pytest.approx(9 * np.sum((rows @ truth - values) ** 2))


def test_ridge_does_not_depend_on_the_scale_of_a_column():
    rows, values, _ = problem()
    scale = np.array([1e-5, 1.0, 1e4, 3.0, 0.2, 10.0])
    plain, scaled = solve(factor_of(rows, values), 1e-2), solve(factor_of(rows * scale, values), 1e-2)
    np.testing.assert_allclose(scaled * scale, plain, rtol=1e-8)


def test_a_column_of_zeros_gets_zero():
    rows, values, _ = problem()
    rows[:, 2] = 0.0
    assert solve(factor_of(rows, values), 1e-8)[2] == 0.0


def test_no_rows_are_refused():
    with pytest.raises(FitError, match='got none'):
        solve(Factor.empty(3), 1e-8)


def test_given_norms_replace_those_of_the_rows():
    rows, values, _ = problem()
    norms = np.arange(1.0, 7.0)
    expected = np.linalg.solve(rows.T @ rows + 0.1 * np.diag(norms**2), rows.T @ values)
    np.testing.assert_allclose(solve(factor_of(rows, values), 0.1, norms=norms), expected, atol=1e-10)


def test_norms_are_those_of_the_columns():
    rows, values, _ = problem()
    rows[:, 3] = 1e-14 * rows[:, 2]
    found = column_norms(factor_of(rows, values))
    np.testing.assert_allclose(found[[0, 1, 2, 4, 5]], np.linalg.norm(rows, axis=0)[[0, 1, 2, 4, 5]])
    assert found[3] == 0.0, 'rounding alone fills it'


def test_fewer_rows_than_columns_give_the_shortest_fit():
    rows, values, _ = problem(n_rows=4)
    rows /= np.linalg.norm(rows, axis=0)
    np.testing.assert_allclose(solve(factor_of(rows, values), 1e-13), np.linalg.pinv(rows) @ values, rtol=1e-6)


def test_groups_are_never_split_and_folds_are_balanced():
    groups = np.array([f'g{i % 11}' for i in range(110)])
    folds = group_folds(groups, 5, np.random.default_rng(0))
    assert all(len(set(folds[groups == name])) == 1 for name in set(groups))
    sizes = np.bincount(folds)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 10


def test_folds_follow_from_the_seed():
    groups = np.array([f'g{i}' for i in range(30)])
    first, second = (group_folds(groups, 5, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_fewer_groups_than_folds():
    assert set(group_folds(np.array(['a', 'b', 'a']), 5, np.random.default_rng(0))) == {0, 1}
