import dataclasses

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.linear import fit as module
from aiida_mlip_autopipe.science.linear.factors import Factor, combine, solve
from aiida_mlip_autopipe.science.linear.fit import (
    ENERGY,
    FORCE,
    PER_ATOM,
    STRESS,
    errors_of,
    fit_rows,
    folds_of,
    gather,
    held_out_errors,
    predictions_of,
    refit,
)
from aiida_mlip_autopipe.science.linear.posterior import NOISES
from aiida_mlip_autopipe.science.linear.settings import LinearSettings, base_energies, compositions
from tests import pod_data
from tests.linear_data import BASE, NOISE, TRUTH, PairSource, labelled_frames
from tests.pod_data import ELEMENTS

SETTINGS = LinearSettings(elements=ELEMENTS, cutoff=4.5, energy_weight=None, n_predictions=5)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.fixture(scope='module')
def frames():
    return labelled_frames()


def rows_of(frames, settings=SETTINGS, *, base=BASE, source=None):
    fold_of, _ = folds_of(frames, settings.seed)
    return gather(frames, base, source or PairSource(), settings, fold_of)


@pytest.fixture(scope='module')
def rows(frames):
    return rows_of(frames)


@pytest.fixture(scope='module')
def fit(rows):
    return fit_rows(rows, SETTINGS)


class TestFolds:
    def test_lineages_stay_together(self, frames):
        lineage = np.array([f'l{i % 7}' for i in range(len(frames))])
        folds, groups = folds_of(frames.replace(lineage=lineage), 0)
        assert groups == 'lineage'
        assert set(folds) == set(range(module.N_FOLDS))
        assert all(len(set(folds[lineage == name])) == 1 for name in lineage)

    def test_one_lineage_is_split_by_frame(self, frames):
        folds, groups = folds_of(frames.replace(lineage='root'), 0)
        assert groups == 'frame'
        assert np.bincount(folds).tolist() == [6] * 5

    def test_one_frame_is_not_split(self, frames):
        folds, groups = folds_of(frames.take([0]), 0)
        assert (folds.tolist(), groups) == ([0], 'none')

    def test_the_seed_decides(self, frames):
        first, again, other = (folds_of(frames, seed)[0].tolist() for seed in (1, 1, 2))
        assert first == again != other


class TestRows:
    def test_factors_are_those_of_the_rows(self, frames, rows):
        designs = [PairSource().design(atoms) for atoms in frames]
        coefficients = np.random.default_rng(0).normal(size=8)
        left = {ENERGY: 0.0, PER_ATOM: 0.0, FORCE: 0.0, STRESS: 0.0}
        for index, design in enumerate(designs):
            n = len(design.types)
            energy = design.energy @ coefficients + BASE[design.types].sum() - frames.energy[index]
            left[ENERGY] += energy**2 / n
            left[PER_ATOM] += (energy / n) ** 2
            left[FORCE] += np.sum((design.forces @ coefficients - frames.forces[frames.rows(index)].ravel()) ** 2)
            left[STRESS] += np.sum((design.stress @ coefficients - frames.stress[index]) ** 2)
        for kind, expected in left.items():
            assert rows.all(kind).squared_error(coefficients) == pytest.approx(expected), kind

    def test_counts(self, frames, rows):
        n_atoms = int(frames.counts.sum())
        assert rows.n_rows == len(frames) * 7 + 3 * n_atoms, 'energies per atom are told, not fitted'
        assert rows.descriptors.shape == (n_atoms, 4)
        assert sorted(rows.kept) == [0, 7, 14, 22, 29]

    def test_the_forces_of_a_perfect_crystal_say_nothing(self, frames):
        perfect = bulk('Cu', 'fcc', a=3.6, cubic=True) * (2, 2, 2)
        zero = {'energy': 0.0, 'forces': np.zeros((32, 3)), 'stress': np.zeros(6)}
        perfect.calc = SinglePointCalculator(perfect, **zero)
        alone, both = rows_of(frames), rows_of(Frames.concatenate([frames, Frames.from_atoms([perfect])]))
        assert (alone.all(FORCE).n_silent, alone.all(STRESS).n_silent) == (0, 0)
        assert (both.all(FORCE).n_silent, both.all(STRESS).n_silent) == (3 * 32, 3), 'no shear either'
        assert both.all(FORCE).n_rows == alone.all(FORCE).n_rows + 3 * 32, 'but it counts as fitted'

    def test_stresses_are_left_out(self, frames):
        for without in (
            rows_of(frames, dataclasses.replace(SETTINGS, stress_weight=0.0)),
            rows_of(frames.replace(has_stress=False)),
        ):
            assert without.all(STRESS).n_rows == 0
            assert errors_of(without, TRUTH).stress is None
            assert STRESS not in fit_rows(without, SETTINGS).evidence.noise

    def test_some_frames_without_stress(self, frames):
        some = frames.replace(has_stress=np.arange(len(frames)) % 3 == 0)
        assert rows_of(some).all(STRESS).n_rows == 6 * 10


class TestFit:
    def test_the_truth_is_found_within_its_uncertainty(self, fit):
        covariance = fit.evidence.covariance_root @ fit.evidence.covariance_root.T
        misfit = fit.coefficients - TRUTH
        assert misfit @ np.linalg.solve(covariance, misfit) < 26, 'chi squared of 8 degrees of freedom, 0.1 %'

    def test_noises_are_found(self, fit):
        assert fit.evidence.noise == pytest.approx(NOISE, rel=0.5)
        assert fit.evidence.noise[FORCE] == pytest.approx(NOISE[FORCE], rel=0.1)

    def test_errors_are_those_of_the_training_set(self, frames, fit):
        designs = [PairSource().design(atoms) for atoms in frames]
        energies = np.array([d.energy @ fit.coefficients + BASE[d.types].sum() for d in designs])
        forces = np.concatenate([(d.forces @ fit.coefficients).reshape(-1, 3) for d in designs])
        assert fit.errors.energy == pytest.approx(rms((energies - frames.energy) / frames.counts))
        assert fit.errors.force == pytest.approx(rms(forces - frames.forces))
        assert fit.errors.stress == pytest.approx(rms([d.stress @ fit.coefficients for d in designs] - frames.stress))

    def test_weights_and_ridge_that_were_given_are_kept(self, rows):
        settings = dataclasses.replace(SETTINGS, energy_weight=3.0, force_weight=2.0, stress_weight=5.0, ridge=1e-5)
        evidence = fit_rows(rows, settings).evidence
        assert evidence.weights == {FORCE: 2.0, ENERGY: 3.0, STRESS: 5.0}
        assert evidence.ridge == 1e-5

    @pytest.mark.parametrize(('change', 'absent'), [({'force_weight': 0.0}, FORCE), ({'energy_weight': 0.0}, ENERGY)])
    def test_a_weight_of_zero_leaves_a_kind_out(self, rows, change, absent):
        evidence = fit_rows(rows, dataclasses.replace(SETTINGS, **change)).evidence
        assert absent not in evidence.weights
        assert np.isfinite(evidence.coefficients).all()

    def test_the_posterior_has_the_noise(self, rows, fit):
        posterior = fit.posterior()
        assert posterior.noise == {name: fit.evidence.noise[name] for name in NOISES}
        without = fit_rows(rows, dataclasses.replace(SETTINGS, energy_weight=0.0)).posterior()
        assert without.noise[ENERGY] == 0.0
        assert without.root.shape == (8, 8)

    def test_energies_of_the_elements_are_fitted_where_there_are_no_isolated_atoms(self, frames):
        source = PairSource(with_one_body=True)
        start = base_energies(frames, {}, ELEMENTS, is_free=True)
        assert np.abs(start - BASE).min() > 1, 'the mean energies are those of the crystals'
        rows = rows_of(frames, base=start, source=source)
        fit = fit_rows(rows, SETTINGS)
        own = start + fit.coefficients[rows.one_body]
        spread = np.linalg.norm(fit.evidence.covariance_root[rows.one_body], axis=1)
        assert (np.abs(own - BASE) < 4 * spread).all()
        np.testing.assert_allclose(fit.coefficients[:8], TRUTH, rtol=0.5)

    def test_a_rough_column_is_expected_to_be_small(self, rows):
        """The prior of a column is narrower by its roughness: the same as a column of that many times the norm."""
        roughness = np.array([1.0, 1.0, 4.0, 50.0, 1.0, 1.0, 4.0, 50.0])
        fit = fit_rows(dataclasses.replace(rows, roughness=roughness), dataclasses.replace(SETTINGS, ridge=1e-4))
        plain = fit_rows(rows, dataclasses.replace(SETTINGS, ridge=1e-4))
        np.testing.assert_allclose(fit.evidence.norms, roughness * plain.evidence.norms)
        rough = [3, 7]
        assert (np.abs(fit.coefficients[rough]) < np.abs(plain.coefficients[rough])).all()
        spreads = [np.linalg.norm(one.evidence.covariance_root[rough], axis=1) for one in (fit, plain)]
        assert (spreads[0] < spreads[1]).all()

    def test_no_rows(self, rows):
        empty = dataclasses.replace(rows, folds=[{kind: Factor.empty(8) for kind in rows.folds[0]}])
        with pytest.raises(FitError, match='got none'):
            fit_rows(empty, SETTINGS)


PULAY = np.array([0.003, -0.006])
"""eV/Å³ of an element at the usual density, ten and twenty times the noise of the stresses."""


def pressed(frames):
    """Return the frames with the stresses of a low cutoff."""
    volumes = np.abs(np.linalg.det(frames.cells))
    pressures = compositions(frames, ELEMENTS) @ PULAY * np.median(volumes / frames.counts) / volumes
    return frames.replace(stress=frames.stress + np.outer(pressures, [1, 1, 1, 0, 0, 0])), pressures


class TestStressOffset:
    def test_a_pressure_of_each_element_leaves_the_potential_as_it_is(self, frames, fit):
        off, pressures = pressed(frames)
        rows = rows_of(off)
        found = fit_rows(rows, SETTINGS)
        np.testing.assert_allclose(found.coefficients, fit.coefficients, rtol=1e-6)
        assert found.evidence.noise == pytest.approx(fit.evidence.noise)
        assert rows.stress_offset(found.coefficients) == pytest.approx(rms(pressures), rel=0.1)
        assert found.errors.stress == pytest.approx(rms(pressures) / np.sqrt(2), rel=0.1), 'what the labels say is told'

    def test_without_one_hardly_any_is_found(self, rows, fit):
        assert rows.stress_offset(fit.coefficients) < 2 * NOISE[STRESS]

    def test_stresses_that_no_energy_contradicts_are_believed(self, frames):
        """One volume of each crystal, also with a vacancy: nothing tells a pressure of the labels from one of the potential."""
        single = frames.take(np.unique(compositions(frames, ELEMENTS), axis=0, return_index=True)[1])
        vacant = [pod_data.labelled(atoms[1:]) for atoms in single]
        rows = rows_of(Frames.concatenate([single, Frames.from_atoms(vacant)]))
        assert rows.fitted(STRESS).n_rows == rows.all(STRESS).n_rows == 60
        assert rows.fitted(STRESS).squared_error(TRUTH) == pytest.approx(rows.all(STRESS).squared_error(TRUTH))
        assert rows.stress_offset(TRUTH) == 0

    def test_one_element_of_several_volumes(self, frames):
        """The other element's pressure is not asked for."""
        counts = compositions(frames, ELEMENTS)
        pure = frames.take(np.flatnonzero(counts[:, 1] == 0))
        mixed = frames.take(np.flatnonzero(counts.min(axis=1) > 0)[:1])
        one, two = rows_of(pure), rows_of(Frames.concatenate([pure, mixed]))
        for rows in (one, two):
            assert rows.all(STRESS).n_rows - rows.fitted(STRESS).n_rows == 1

    def test_the_core_and_the_folds_do_not_know_it_either(self, frames, rows, fit):
        off = rows_of(pressed(frames)[0])
        found = fit_rows(off, SETTINGS)
        np.testing.assert_allclose(refit(off, found, Factor.empty(8)).coefficients, found.coefficients, rtol=1e-6)
        assert held_out_errors(off, found).force == pytest.approx(held_out_errors(rows, fit).force)


class TestRefit:
    def test_rows_that_are_no_data_pull(self, rows, fit):
        wanted = TRUTH + 1.0
        strong = Factor(1e4 * np.column_stack([np.eye(8), wanted]), 8)
        found = refit(rows, fit, strong)
        np.testing.assert_allclose(found.coefficients, wanted, rtol=1e-3)
        assert found.errors == errors_of(rows, found.coefficients)
        assert found.evidence is fit.evidence

    def test_no_row_changes_nothing(self, rows, fit):
        np.testing.assert_allclose(refit(rows, fit, Factor.empty(8)).coefficients, fit.coefficients, rtol=1e-8)


class TestHeldOut:
    def test_equal_to_fits_without_each_fold(self, rows, fit):
        evidence, squares = fit.evidence, np.zeros(3)
        for out, held in enumerate(rows.folds):
            rest = dataclasses.replace(rows, folds=[fold for index, fold in enumerate(rows.folds) if index != out])
            parts = [rest.fitted(kind).scaled(weight) for kind, weight in evidence.weights.items()]
            coefficients = solve(combine(parts), evidence.ridge, norms=evidence.norms)
            squares += [held[kind].squared_error(coefficients) for kind in (PER_ATOM, FORCE, STRESS)]
        found = held_out_errors(rows, fit)
        counts = [rows.all(kind).n_rows for kind in (PER_ATOM, FORCE, STRESS)]
        assert [found.energy, found.force, found.stress] == pytest.approx(np.sqrt(squares / counts))
        assert found.force > fit.errors.force

    def test_one_fold_holds_nothing_out(self, frames):
        rows = rows_of(frames.take([0]))
        assert held_out_errors(rows, fit_rows(rows, SETTINGS)) is None

    def test_without_stresses(self, frames):
        rows = rows_of(frames, dataclasses.replace(SETTINGS, stress_weight=0.0))
        assert held_out_errors(rows, fit_rows(rows, SETTINGS)).stress is None


def test_predictions_are_rows_times_coefficients(frames, rows, fit):
    own = predictions_of(rows, fit.coefficients, BASE)
    assert own.frames.tolist() == sorted(rows.kept)
    compared = frames.take(own.frames)
    assert rms(own.forces - compared.forces) == pytest.approx(fit.errors.force, rel=0.3)
    assert rms((own.energy - compared.energy) / compared.counts) < 3 * fit.errors.energy
