"""The evidence: the direct formula, scikit-learn, noise that is known, and problems without an ordinary answer."""

import dataclasses
import itertools

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.science.linear.evidence import FLOOR, RIDGE_POWERS, Kind, maximise
from aiida_mlip_autopipe.science.linear.factors import Factor, RowStream

NOISES = {'energy': 0.02, 'force': 0.1, 'stress': 5e-4}
UNITS = {'energy': 0.3, 'force': 1.0, 'stress': 0.01}
COUNTS = {'energy': 120, 'force': 1500, 'stress': 300}
FIRST = {'energy': 12.0, 'force': 1.0, 'stress': 100.0}
N_COLUMNS = 30


def factor_of(rows, values, portion=1000):
    stream = RowStream(rows.shape[1])
    for start in range(0, len(rows), portion):
        stream.add(rows[start : start + portion], values[start : start + portion])
    return stream.factor()


def problem(seed=0, n_rows=200, n_columns=12, noise=0.1):
    """Return rows with columns of norm 1 and very different singular values, and noisy values."""
    rng = np.random.default_rng(seed)
    rows = (
        rng.normal(size=(n_rows, n_columns)) @ np.diag(10.0 ** -np.linspace(0, 3, n_columns)) @ rng.normal(size=(n_columns,) * 2)
    )
    rows /= np.linalg.norm(rows, axis=0)
    return rows, rows @ rng.normal(size=n_columns) + noise / np.sqrt(n_rows) * rng.normal(size=n_rows)


def one(rows, values, **options):
    return maximise({'force': Kind(factor_of(rows, values), 1.0)}, **options)


def mixed(seed, noises=NOISES, *, free=('energy', 'force', 'stress')):
    """Return three kinds of rows of one linear model in units of their own, and the same as tables."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=N_COLUMNS)
    kinds, tables = {}, {}
    for name, count in COUNTS.items():
        rows = UNITS[name] * rng.normal(size=(count, N_COLUMNS))
        values = rows @ truth + noises[name] * rng.normal(size=count)
        tables[name] = rows, values
        kinds[name] = Kind(factor_of(rows, values), FIRST[name], is_free=name in free)
    return kinds, tables


def direct(tables, found):
    """Return -1/2 (log det(2 pi K) + y K^-1 y), K = noise + A (prior covariance) A^T."""
    rows = np.vstack([table[0] for table in tables.values()])
    values = np.concatenate([table[1] for table in tables.values()])
    noise = np.concatenate([np.full(len(table[1]), found.noise[name] ** 2) for name, table in tables.items()])
    name = next(iter(tables))
    variance = (found.noise[name] * found.weights[name]) ** 2 / found.ridge / found.norms**2
    covariance = np.diag(noise) + rows * variance @ rows.T
    return -0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + values @ np.linalg.solve(covariance, values))


class TestScikitLearn:
    @pytest.mark.parametrize('noise', [0.01, 0.1, 1.0])
    @pytest.mark.parametrize('shape', [(200, 12), (60, 30), (20, 30)])
    def test_equal(self, shape, noise):
        rows, values = problem(1, *shape, noise)
        found = one(rows, values)
        hyperpriors = dict.fromkeys(('alpha_1', 'alpha_2', 'lambda_1', 'lambda_2'), 0.0)
        other = BayesianRidge(max_iter=20_000, tol=1e-9, fit_intercept=False, compute_score=True, **hyperpriors)
        other.fit(rows, values)
        sigma = found.noise['force']
        assert found.ridge == pytest.approx(other.lambda_ / other.alpha_, rel=1e-2)
        assert sigma**-2 == pytest.approx(other.alpha_, rel=1e-3)
        np.testing.assert_allclose(found.coefficients, other.coef_, atol=2e-3 * np.abs(other.coef_).max())
        assert found.log_evidence == pytest.approx(other.scores_[-1], abs=1e-3)
        covariance = found.covariance_root @ found.covariance_root.T
        np.testing.assert_allclose(covariance, other.sigma_, atol=1e-2 * np.abs(other.sigma_).max())


class TestFormula:
    @pytest.mark.parametrize('n_rows', [8, 60])
    def test_one_kind(self, n_rows):
        rows, values = problem(2, n_rows=n_rows)
        found = one(rows, values)
        assert found.log_evidence == pytest.approx(direct({'force': (rows, values)}, found), rel=1e-9)

    @pytest.mark.parametrize('free', [(), ('stress',), ('energy', 'force', 'stress')])
    def test_three_kinds(self, free):
        kinds, tables = mixed(3, free=free)
        found = maximise(kinds)
        assert found.log_evidence == pytest.approx(direct(tables, found), rel=1e-9)

    def test_coefficients_are_the_ridge_regression_of_the_weighted_rows(self):
        kinds, tables = mixed(4)
        found = maximise(kinds)
        rows = np.vstack([found.weights[name] * table[0] for name, table in tables.items()])
        values = np.concatenate([found.weights[name] * table[1] for name, table in tables.items()])
        matrix = rows.T @ rows + found.ridge * np.diag(found.norms**2)
        np.testing.assert_allclose(found.coefficients, np.linalg.solve(matrix, rows.T @ values), rtol=1e-8)
        name = 'force'
        covariance = (found.noise[name] * found.weights[name]) ** 2 * np.linalg.inv(matrix)
        np.testing.assert_allclose(found.covariance_root @ found.covariance_root.T, covariance, atol=1e-9 * covariance.max())
        determined = np.trace(np.linalg.solve(matrix, rows.T @ rows))
        assert found.n_determined == pytest.approx(determined)

    def test_the_ridge_has_more_evidence_than_any_other(self):
        rows, values = problem(5)
        found = one(rows, values)
        others = [one(rows, values, ridge=10.0**power).log_evidence for power in np.arange(*RIDGE_POWERS, 0.25)]
        assert max(others) <= found.log_evidence + 1e-9
        assert one(rows, values, ridge=found.ridge).log_evidence == pytest.approx(found.log_evidence)

    def test_a_given_ridge_is_kept(self):
        rows, values = problem(6)
        found = one(rows, values, ridge=1e-3)
        assert found.ridge == 1e-3
        assert found.log_evidence == pytest.approx(direct({'force': (rows, values)}, found), rel=1e-9)

    def test_the_weights_of_free_kinds_are_near_the_greatest_evidence(self):
        kinds, _ = mixed(7, free=('stress',))
        best = maximise(kinds)
        for factor in (0.7, 1.4):
            moved = dataclasses.replace(kinds['stress'], weight=factor * best.weights['stress'], is_free=False)
            assert maximise({**kinds, 'stress': moved}, norms=best.norms).log_evidence < best.log_evidence


class TestNoise:
    @pytest.mark.parametrize('seed', range(5))
    def test_three_known_levels_in_different_units(self, seed):
        found = maximise(mixed(seed)[0])
        for name, known in NOISES.items():
            # four standard errors of a standard deviation from n rows, of which the coefficients use up a part
            tolerance = 4 / np.sqrt(2 * (COUNTS[name] - N_COLUMNS))
            assert found.noise[name] == pytest.approx(known, rel=tolerance), name

    @pytest.mark.parametrize('level', [0.1, 10.0])
    def test_the_noise_of_the_stresses_follows_the_data(self, level):
        noises = {**NOISES, 'stress': level * NOISES['stress']}
        found = maximise(mixed(1, noises, free=('stress',))[0])
        assert found.noise['stress'] == pytest.approx(noises['stress'], rel=0.3)
        assert found.weights['force'] == FIRST['force'], 'only the free weight moves'
        assert found.weights['energy'] == FIRST['energy']

    def test_noises_of_the_others_keep_the_ratio_of_their_weights(self):
        found = maximise(mixed(2, free=('stress',))[0])
        assert found.noise['force'] / found.noise['energy'] == pytest.approx(FIRST['energy'] / FIRST['force'])

    def test_all_free_is_as_one_fixed(self):
        everything, all_but_one = (maximise(mixed(3, free=free)[0]) for free in (tuple(COUNTS), ('energy', 'stress')))
        np.testing.assert_allclose(everything.coefficients, all_but_one.coefficients)
        assert everything.noise == pytest.approx(all_but_one.noise)

    def test_first_weights_hardly_matter(self):
        kinds, _ = mixed(4)
        moved = {
            name: dataclasses.replace(kind, weight=20 * kind.weight) if name == 'stress' else kind for name, kind in kinds.items()
        }
        a, b = maximise(kinds), maximise(moved)
        for name, noise in a.noise.items():
            assert b.noise[name] == pytest.approx(noise, rel=0.03)


class TestSilentRows:
    """The forces of perfect crystals are zero whatever the coefficients are: they must not speak for a noise of zero."""

    def with_zeros(self, count, size):
        rows, values = problem(7, n_rows=40, n_columns=60)
        stream = RowStream(rows.shape[1])
        stream.add(rows, values, size=size)
        stream.add(1e-12 * np.resize(rows, (count, 60)), np.zeros(count), size=size)
        return maximise({'force': Kind(stream.factor(), 1.0)})

    def test_they_change_nothing(self):
        found, alone = self.with_zeros(60, 0.1), self.with_zeros(0, 0.1)
        assert found.noise['force'] == pytest.approx(alone.noise['force'], rel=1e-6)
        assert found.log_evidence == pytest.approx(alone.log_evidence, rel=1e-6)
        np.testing.assert_allclose(found.coefficients, alone.coefficients, rtol=1e-6)

    def test_counted_they_would_ask_for_a_fit_without_error(self):
        """The fault: 22 frames of Al-Mg, a third of them perfect, were fitted to 0.0 meV/Å and tested at 343."""
        assert self.with_zeros(60, 0.0).noise['force'] < 0.1 * self.with_zeros(0, 0.0).noise['force']

    def test_nothing_but_silent_rows_is_no_data(self):
        stream = RowStream(3)
        stream.add(np.zeros((4, 3)), np.zeros(4), size=1.0)
        with pytest.raises(FitError, match='at least one row'):
            maximise({'force': Kind(stream.factor(), 1.0)})


class TestInvariance:
    @pytest.mark.parametrize('portion', [1, 7, 64])
    def test_portions(self, portion):
        rows, values = problem(8)
        whole = one(rows, values)
        found = maximise({'force': Kind(factor_of(rows, values, portion), 1.0)})
        np.testing.assert_allclose(found.coefficients, whole.coefficients, rtol=1e-6)
        assert found.log_evidence == pytest.approx(whole.log_evidence)

    def test_order_of_the_rows(self):
        rows, values = problem(9)
        order = np.random.default_rng(0).permutation(len(rows))
        a, b = one(rows, values), one(rows[order], values[order])
        np.testing.assert_allclose(a.coefficients, b.coefficients, rtol=1e-6)
        assert a.log_evidence == pytest.approx(b.log_evidence)

    def test_scale_of_a_column(self):
        rows, values = problem(10)
        scale = 10.0 ** np.random.default_rng(0).uniform(-4, 4, rows.shape[1])
        a, b = one(rows, values), one(rows * scale, values)
        np.testing.assert_allclose(b.coefficients * scale, a.coefficients, rtol=1e-5)
        assert b.log_evidence == pytest.approx(a.log_evidence)
        assert b.ridge == pytest.approx(a.ridge, rel=1e-4)

    def test_unit_of_the_values(self):
        rows, values = problem(11)
        a, b = one(rows, values), one(rows, 1e3 * values)
        np.testing.assert_allclose(b.coefficients, 1e3 * a.coefficients, rtol=1e-5)
        assert b.log_evidence == pytest.approx(a.log_evidence - len(values) * np.log(1e3))

    def test_unit_of_all_weights(self):
        kinds, _ = mixed(5, free=('stress',))
        moved = {name: dataclasses.replace(kind, weight=7 * kind.weight) for name, kind in kinds.items()}
        a, b = maximise(kinds), maximise(moved)
        np.testing.assert_allclose(b.coefficients, a.coefficients, rtol=1e-4)
        assert b.noise == pytest.approx(a.noise, rel=1e-3)
        assert b.log_evidence == pytest.approx(a.log_evidence, abs=1e-3)


class TestEdges:
    def test_fewer_rows_than_columns(self):
        """A direction that no row shows is as uncertain as it was before."""
        rows, values = problem(12, n_rows=6, n_columns=10)
        found = one(rows, values)
        unseen = np.linalg.svd(rows / found.norms)[2][6:]
        sigma = found.noise['force'] * found.weights['force']
        spread = np.linalg.norm(unseen * found.norms @ found.covariance_root, axis=1)
        np.testing.assert_allclose(spread, sigma / np.sqrt(found.ridge), rtol=1e-6)
        assert found.n_determined <= 6

    def test_a_column_of_zeros(self):
        rows, values = problem(13)
        bare = one(rows, values)
        found = one(np.insert(rows, 4, 0.0, axis=1), values)
        assert found.coefficients[4] == 0.0
        assert not found.covariance_root[4].any()
        np.testing.assert_allclose(np.delete(found.coefficients, 4), bare.coefficients, rtol=1e-6)
        assert found.log_evidence == pytest.approx(bare.log_evidence)

    @pytest.mark.parametrize('free', [(), ('stress',), ('energy', 'force', 'stress')])
    def test_exact_data_end_at_the_floor(self, free):
        kinds, tables = mixed(6, dict.fromkeys(NOISES, 0.0), free=free)
        found = maximise(kinds)
        assert np.isfinite(found.log_evidence)
        assert np.isfinite(found.covariance_root).all()
        for name, (rows, values) in tables.items():
            size = np.sqrt(np.mean(values**2))
            assert 0 < found.noise[name] < 10 * FLOOR * size
            assert np.abs(rows @ found.coefficients - values).max() < 1e-5 * size

    def test_more_columns_than_exact_values(self):
        rows, values = problem(14, n_rows=5, n_columns=10, noise=0.0)
        found = one(rows, values)
        assert np.isfinite(found.log_evidence)
        assert np.isfinite(found.coefficients).all()

    @pytest.mark.parametrize('zero', [('stress',), ('force', 'stress'), tuple(NOISES)])
    @pytest.mark.parametrize('free', [('stress',), tuple(NOISES)])
    def test_values_of_zero(self, zero, free):
        """Perfect crystals without forces, and stresses that nobody computed."""
        kinds, tables = mixed(7, free=free)
        silent = {name: (rows, 0 * values if name in zero else values) for name, (rows, values) in tables.items()}
        found = maximise({name: dataclasses.replace(kinds[name], factor=factor_of(*table)) for name, table in silent.items()})
        for values in (found.coefficients, found.covariance_root, found.log_evidence, list(found.noise.values())):
            assert np.isfinite(values).all()

    def test_kinds_without_rows_are_left_out(self):
        kinds, _ = mixed(8)
        empty = Kind(Factor.empty(N_COLUMNS), 100.0, is_free=True)
        bare = {name: kind for name, kind in kinds.items() if name != 'stress'}
        found = maximise({**bare, 'stress': empty})
        assert set(found.noise) == set(found.weights) == {'energy', 'force'}
        np.testing.assert_array_equal(found.coefficients, maximise(bare).coefficients)

    def test_no_rows_at_all(self):
        with pytest.raises(FitError, match='a fit needs at least one row, got none'):
            maximise({'force': Kind(Factor.empty(3), 1.0)})
        with pytest.raises(FitError, match='got none'):
            maximise({})

    def test_one_row(self):
        found = one(np.array([[1.0, 2.0]]), np.array([3.0]))
        assert np.isfinite(found.log_evidence)
        assert np.isfinite(found.coefficients).all()

    def test_pure_noise_is_not_fitted(self):
        rng = np.random.default_rng(15)
        rows, values = rng.normal(size=(300, 20)), rng.normal(size=300)
        found = one(rows, values)
        assert found.noise['force'] == pytest.approx(1.0, rel=0.15)
        assert found.n_determined < 12


def test_more_functions_have_more_evidence_only_where_they_explain_something():
    """The evidence ranks bases: the true one above a smaller and above a larger one."""
    rng = np.random.default_rng(16)
    rows = rng.normal(size=(200, 60))
    values = rows[:, :20] @ rng.normal(size=20) + 0.3 * rng.normal(size=200)
    small, true, large = (one(rows[:, :n], values).log_evidence for n in (10, 20, 60))
    assert true > small
    assert true > large


def test_same_input_same_answer():
    kinds, _ = mixed(9)
    for a, b in itertools.pairwise([maximise(kinds) for _ in range(2)]):
        np.testing.assert_array_equal(a.coefficients, b.coefficients)
        assert (a.ridge, a.log_evidence, a.noise) == (b.ridge, b.log_evidence, b.noise)
