import dataclasses
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.science.linear.core import TOLERANCES, CorePath, core_factor
from aiida_mlip_autopipe.science.linear.fit import FORCE, fit_rows, folds_of, gather, refit
from aiida_mlip_autopipe.science.linear.search import MARGIN, Trial, Watch, climb, fit_with_core, search
from aiida_mlip_autopipe.science.linear.settings import LinearSettings
from tests.linear_data import BASE, PairSource, labelled_frames
from tests.pod_data import ELEMENTS

SETTINGS = LinearSettings(elements=ELEMENTS, cutoff=4.5, core=False)


class TestClimb:
    def climb(self, evidence):
        tried = []

        def attempt(size):
            tried.append(size)
            found = SimpleNamespace(log_evidence=evidence[size])
            columns = np.zeros(10 * (1 + list(evidence).index(size)))  # each size adds ten coefficients
            return Trial(size, None, SimpleNamespace(evidence=found, coefficients=columns))

        best, found = climb(list(evidence), attempt)
        assert found == {size: evidence[size] for size in tried}
        return best.size, tried

    @pytest.mark.parametrize(
        ('values', 'best', 'n_tried'),
        [
            ([5.0], 'a', 1),
            ([10.0, 50.0, 90.0], 'c', 3),
            ([10.0, 50.0, 40.0, 900.0], 'b', 3),
            ([30.0, 10.0, 90.0], 'a', 2),
            ([-500.0, -100.0, -120.0], 'b', 3),
            ([0.0, 10 * MARGIN, 20 * MARGIN - 1], 'b', 3),
        ],
    )
    def test_the_first_size_that_is_not_worth_its_coefficients_ends_it(self, values, best, n_tried):
        names = [chr(ord('a') + index) for index in range(len(values))]
        assert self.climb(dict(zip(names, values, strict=True))) == (best, names[:n_tried])

    def test_nothing_to_try(self):
        with pytest.raises(InputError, match='there is no basis to try'):
            climb([], lambda size: None)


@pytest.fixture(scope='module')
def frames():
    return labelled_frames()


def opener(opened, **options):
    @contextmanager
    def open_source(size):
        source = PairSource(int(size), **options)
        opened.append(source)
        yield source

    return open_source


class TestSearch:
    def test_the_basis_of_the_truth_is_found(self, frames):
        opened, watch = [], Watch()
        found = search(frames, BASE, SETTINGS, ['1', '2', '4', '12'], opener(opened), watch)
        report = found.report
        assert report.size == '4'
        assert list(report.log_evidence) == ['1', '2', '4', '12']
        assert report.log_evidence['4'] == found.fit.evidence.log_evidence == max(report.log_evidence.values())
        assert [source.n_functions for source in opened] == [1, 2, 4, 12]
        assert len(found.fit.coefficients) == 8
        assert report.errors == found.fit.errors
        assert report.held_out.force > report.errors.force
        assert report.held_out_groups == 'lineage'
        assert report.n_rows == found.rows.n_rows
        assert 0 < report.n_determined <= 8
        assert report.stress_offset == found.rows.stress_offset(found.fit.coefficients) > 0
        assert report.core_tolerance is None
        assert set(watch.seconds) == {'rows', 'solve'}

    def test_one_size_is_taken_as_it_is(self, frames):
        found = search(frames, BASE, SETTINGS, ['1'], opener([]), Watch())
        assert (found.report.size, list(found.report.log_evidence)) == ('1', ['1'])

    def test_settings_arrive(self, frames):
        settings = dataclasses.replace(SETTINGS, ridge=1e-4, force_weight=2.0, stress_weight=0.0)
        report = search(frames, BASE, settings, ['4'], opener([]), Watch()).report
        assert report.ridge == 1e-4
        assert report.weights == {'force': 2.0, 'energy': 12.0}
        assert (report.errors.stress, report.stress_offset) == (None, None)

    def test_a_fit_worse_than_none_is_refused(self, frames):
        wrong = frames.replace(energy=frames.energy + 1e3 * np.arange(len(frames)) ** 2 % 77)
        settings = dataclasses.replace(SETTINGS, force_weight=0.0, stress_weight=0.0, ridge=1e-14)
        with pytest.raises(FitError, match='more than the forces themselves'):
            search(wrong, BASE, settings, ['4'], opener([]), Watch())

    def test_same_input_same_fit(self, frames):
        first, second = (search(frames, BASE, SETTINGS, ['2', '4'], opener([]), Watch()) for _ in range(2))
        np.testing.assert_array_equal(first.fit.coefficients, second.fit.coefficients)
        assert first.report == second.report


@pytest.fixture(scope='module')
def trial(frames):
    fold_of, _ = folds_of(frames, 0)
    rows = gather(frames, BASE, PairSource(5), SETTINGS, fold_of)
    return Trial('5', rows, fit_rows(rows, SETTINGS))


class TestCore:
    """Paths on which the energy of the true coefficients falls by 10 eV, and rises with a little persuasion."""

    def path(self, slope):
        distances = np.linspace(0, 1, 11)
        rows = np.zeros((11, 10))
        rows[:, 9] = distances  # the last column is of no data
        return CorePath(rows, 20.0 * distances + 1, slope * distances, distances >= 0.2)

    def test_walls_that_rise_need_no_word(self, trial):
        tolerance, fit = fit_with_core(trial, [self.path(30.0 + abs(trial.fit.coefficients[9]))], 1.0)
        assert tolerance is None
        assert fit is trial.fit

    def test_no_path_no_core(self, trial):
        assert fit_with_core(trial, [], 1.0) == (None, trial.fit)

    def test_the_weakest_word_that_helps_is_taken(self, trial):
        path = self.path(-20.0 - 2 * abs(trial.fit.coefficients[9]))
        assert path.fall(trial.fit.coefficients) > 10
        tolerance, fit = fit_with_core(trial, [path], 1.0)
        assert tolerance in TOLERANCES
        assert path.fall(fit.coefficients) <= 0
        for weaker in TOLERANCES[: TOLERANCES.index(tolerance)]:
            assert path.fall(refit(trial.rows, trial.fit, core_factor([path], weaker, 1.0)).coefficients) > 0
        assert fit.evidence is trial.fit.evidence
        assert fit.errors.force >= trial.fit.errors.force

    def test_where_nothing_helps_the_strongest_word_is_the_last(self, trial):
        """No column can lift this path."""
        sunk = dataclasses.replace(self.path(-50.0), rows=np.zeros((11, 10)))
        tolerance, fit = fit_with_core(trial, [sunk], 1.0)
        assert tolerance == TOLERANCES[-1]
        assert sunk.fall(fit.coefficients) > 0

    def test_a_fit_without_forces_is_told_by_the_weight_of_its_energies(self):
        frames = labelled_frames()
        settings = dataclasses.replace(SETTINGS, force_weight=0.0)
        rows = gather(frames, BASE, PairSource(5), settings, folds_of(frames, 0)[0])
        trial = Trial('5', rows, fit_rows(rows, settings))
        assert FORCE not in trial.fit.evidence.weights
        tolerance, fit = fit_with_core(trial, [self.path(-100.0)], 0.0)
        assert tolerance is not None
        assert not np.array_equal(fit.coefficients, trial.fit.coefficients)


def test_watch_adds_up_phases():
    watch = Watch()
    for phase in ('rows', 'solve', 'rows'):
        watch.stop(phase)
    assert list(watch.seconds) == ['rows', 'solve']
    assert all(seconds >= 0 for seconds in watch.seconds.values())
