"""A linear ACE potential: what its files do is what the fit says of itself."""

import dataclasses
import itertools

import numpy as np
import pytest
from ase.data import chemical_symbols

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.trainer_predictions import TRAINER_PREDICTIONS, TrainerPredictions
from aiida_mlip_autopipe.engines.ace.basis import SIZES
from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET, POTENTIAL_FILES, POTENTIAL_YACE, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.fit import AceSettings, fit_ace, sizes_to_try
from aiida_mlip_autopipe.engines.ace.potential import check_same_fit
from aiida_mlip_autopipe.science.checks.wall import wall_finding, wall_paths
from aiida_mlip_autopipe.science.linear import search as search_module
from aiida_mlip_autopipe.science.linear.posterior import POSTERIOR, Posterior
from aiida_mlip_autopipe.science.linear.search import MARGIN
from tests.pod_data import CUTOFF, ELEMENTS, REFERENCES, alloy, labelled, training_frames

pyace = pytest.importorskip('pyace')

SETTINGS = AceSettings(elements=ELEMENTS, cutoff=CUTOFF, functions=20)
EXACT = 1e-6
"""Relative difference of errors of the fit and of pyace; the labels and the sums are rounded."""


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def evaluate(frames, folder, fit, *, suffix=POTENTIAL_YAML):
    """Return total energies, forces and stresses by pyace's own calculator, and the grades of the atoms where it has them."""
    calculator = pyace.PyACECalculator(str(folder / suffix))
    if suffix == POTENTIAL_YAML:
        calculator.set_active_set(str(folder / ACTIVE_SET))
    energies, forces, stresses, grades = [], [], [], []
    for atoms in frames:
        copy = atoms.copy()
        copy.calc = calculator
        shift = sum(fit.energy_shift[symbol] for symbol in copy.symbols)
        energies.append(copy.get_potential_energy() + shift)
        forces.append(copy.get_forces())
        stresses.append(copy.get_stress())
        grades.append(calculator.results.get('gamma', np.zeros(0)))
    return np.array(energies), np.concatenate(forces), np.array(stresses), np.concatenate(grades)


def assert_errors(frames, folder, fit):
    """Check that the errors that the fit states are those of its files."""
    energies, forces, stresses, _ = evaluate(frames, folder, fit)
    errors = fit.report.errors
    assert rms((energies - frames.energy) / frames.counts) == pytest.approx(errors.energy, rel=EXACT)
    assert rms(forces - frames.forces) == pytest.approx(errors.force, rel=EXACT)
    if errors.stress is not None:
        assert rms(stresses - frames.stress) == pytest.approx(errors.stress, rel=EXACT)


@pytest.fixture(scope='module')
def frames():
    return training_frames(24)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('ace')


@pytest.fixture(scope='module')
def fit(frames, folder):
    return fit_ace(frames, REFERENCES, SETTINGS, folder)


class TestFiles:
    def test_they_are_of_one_fit(self, fit, folder):
        assert {path.name for path in folder.iterdir()} == {*POTENTIAL_FILES, POSTERIOR, TRAINER_PREDICTIONS}
        contents = {name: (folder / name).read_bytes() for name in POTENTIAL_FILES}
        assert check_same_fit(contents, ELEMENTS) == fit.functions == {'Cu': 20, 'Au': 20}

    def test_training_errors_are_those_of_pyace(self, frames, folder, fit):
        assert_errors(frames, folder, fit)

    def test_the_fast_form_gives_the_same(self, frames, folder, fit):
        plain, fast = (evaluate(frames, folder, fit, suffix=suffix) for suffix in (POTENTIAL_YAML, POTENTIAL_YACE))
        np.testing.assert_allclose(fast[0], plain[0], atol=1e-6)
        np.testing.assert_allclose(fast[1], plain[1], atol=1e-5)

    def test_coefficients(self, fit, folder):
        basis = pyace.ACEBBasisSet(str(folder / POTENTIAL_YAML))
        np.testing.assert_allclose(basis.basis_coeffs, fit.coefficients, rtol=1e-12)

    def test_own_predictions_are_kept_for_the_checks(self, frames, folder, fit):
        own = TrainerPredictions.load(folder)
        energies, forces, *_ = evaluate(frames.take(own.frames), folder, fit)
        np.testing.assert_allclose(own.energy, energies, atol=1e-8)
        np.testing.assert_allclose(own.forces, forces, atol=1e-8)

    def test_the_posterior_is_of_these_coefficients(self, folder, fit):
        posterior = Posterior.load(folder)
        assert posterior.root.shape == (40, 40)
        assert posterior.noise == {name: fit.report.noise[name] for name in ('energy', 'force')}

    def test_it_predicts_frames_that_it_has_not_seen(self, folder, fit):
        fresh = training_frames(10, seed=99)
        energies, forces, *_ = evaluate(fresh, folder, fit)
        assert rms((energies - fresh.energy) / fresh.counts) < 0.02  # eV/atom
        assert rms(forces - fresh.forces) < 0.3 * rms(fresh.forces)


class TestGrade:
    def test_training_atoms(self, frames, folder, fit):
        gamma = evaluate(frames, folder, fit)[3]
        assert len(gamma) == frames.counts.sum()
        assert gamma.max() <= 1.01 + 1e-6
        assert gamma.max() == pytest.approx(fit.gamma_train_max, rel=1e-4)
        assert all(15 <= count <= 20 for count in fit.active_atoms.values()), 'nearly as many atoms as functions'

    def test_a_stretched_cell_extrapolates(self, frames, folder, fit):
        atoms = frames.atoms(1)
        atoms.set_cell(atoms.cell * 1.15, scale_atoms=True)
        assert evaluate([atoms], folder, fit)[3].max() > 2

    def test_fewer_atoms_than_functions(self, tmp_path):
        """What pace_activeset cannot do: directions that no atom shows are held by rows of small weight."""
        few = training_frames(5)
        fit = fit_ace(few, REFERENCES, dataclasses.replace(SETTINGS, functions=40), tmp_path)
        gamma = evaluate(few, tmp_path, fit)[3]
        assert gamma.max() <= 1.01 + 1e-6
        assert fit.active_atoms['Cu'] < 40
        assert fit.gamma_train_max <= 1.01 + 1e-6
        assert evaluate([alloy(np.random.default_rng(9), rattle=0.4)], tmp_path, fit)[3].max() > 10


class TestInvariance:
    def test_order_of_the_elements(self, frames, folder, fit, tmp_path):
        turned = fit_ace(frames, REFERENCES, dataclasses.replace(SETTINGS, elements=ELEMENTS[::-1]), tmp_path)
        for a, b in zip(evaluate(frames, folder, fit), evaluate(frames, tmp_path, turned), strict=True):
            np.testing.assert_allclose(b, a, atol=1e-5)
        assert turned.report.log_evidence == pytest.approx(fit.report.log_evidence)

    def test_same_input_gives_the_same_files(self, frames, folder, fit, tmp_path):
        again = fit_ace(frames, REFERENCES, SETTINGS, tmp_path)
        for name in POTENTIAL_FILES:
            assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name
        np.testing.assert_array_equal(again.coefficients, fit.coefficients)
        assert again.report == fit.report

    def test_a_large_offset_of_the_energies(self, frames, fit, tmp_path):
        shift = {'Cu': -30_000.0, 'Au': -80_000.0}
        moved = frames.replace(energy=frames.energy + [sum(shift[s] for s in frames.symbols(i)) for i in range(len(frames))])
        references = {element: REFERENCES[element] + shift[element] for element in ELEMENTS}
        shifted = fit_ace(moved, references, SETTINGS, tmp_path)
        np.testing.assert_allclose(shifted.coefficients, fit.coefficients, atol=1e-4 * np.abs(fit.coefficients).max())
        assert shifted.energy_shift == references
        assert shifted.report.errors.force == pytest.approx(fit.report.errors.force, rel=1e-4)


class TestVariants:
    def test_isolated_atoms_are_the_zero(self, fit):
        assert fit.energy_shift == REFERENCES

    @pytest.mark.parametrize('references', [{}, REFERENCES])
    def test_a_free_energy_of_each_element(self, frames, tmp_path, references):
        settings = dataclasses.replace(SETTINGS, functions=40, free_one_body=bool(references))
        fit = fit_ace(frames, references, settings, tmp_path)
        assert_errors(frames, tmp_path, fit)
        assert fit.report.errors.energy < 5e-3
        assert fit.energy_shift != REFERENCES
        assert len(fit.coefficients) == 80
        assert Posterior.load(tmp_path).root.shape == (82, 82)

    def test_without_isolated_atoms_a_large_offset_does_not_matter(self, frames, tmp_path):
        plain = fit_ace(frames, {}, SETTINGS, tmp_path)
        moved = fit_ace(frames.replace(energy=frames.energy - 50_000.0 * frames.counts), {}, SETTINGS, tmp_path)
        for element in ELEMENTS:
            assert moved.energy_shift[element] == pytest.approx(plain.energy_shift[element] - 50_000.0, abs=1e-2)
        assert moved.report.errors.force == pytest.approx(plain.report.errors.force, rel=1e-3)

    @pytest.mark.parametrize('way', ['weight', 'labels'])
    def test_without_stresses(self, frames, tmp_path, way):
        settings = dataclasses.replace(SETTINGS, stress_weight=0.0) if way == 'weight' else SETTINGS
        used = frames if way == 'weight' else frames.replace(has_stress=False)
        fit = fit_ace(used, REFERENCES, settings, tmp_path)
        assert fit.report.errors.stress is None
        assert set(fit.report.noise) == {'energy', 'force'}
        assert_errors(used, tmp_path, fit)

    def test_neither_isolated_atoms_nor_stresses(self, frames, tmp_path):
        fit = fit_ace(frames.replace(has_stress=False), {}, SETTINGS, tmp_path)
        assert_errors(frames, tmp_path, fit)

    def test_without_core(self, frames, tmp_path):
        fit = fit_ace(frames, REFERENCES, dataclasses.replace(SETTINGS, core=False), tmp_path)
        assert fit.report.core_tolerance is None
        assert 'zbl' not in (tmp_path / POTENTIAL_YAML).read_text()
        assert_errors(frames, tmp_path, fit)

    def test_one_element(self, tmp_path):
        rng = np.random.default_rng(3)
        copper = Frames.from_atoms([labelled(alloy(rng, 0.0)) for _ in range(8)])
        fit = fit_ace(copper, {'Cu': 3.5}, dataclasses.replace(SETTINGS, elements=('Cu',)), tmp_path)
        assert_errors(copper, tmp_path, fit)
        assert set(fit.shortest) == {'Cu-Cu'}

    def test_one_frame(self, frames, tmp_path):
        fit = fit_ace(frames.take([2]), REFERENCES, SETTINGS, tmp_path)
        assert (fit.report.held_out, fit.report.held_out_groups) == (None, 'none')
        assert_errors(frames.take([2]), tmp_path, fit)

    def test_a_perfect_crystal_alone(self, tmp_path):
        """Nothing but an energy and a pressure: no force to learn from, and none to be wrong about."""
        frames = Frames.from_atoms([labelled(alloy(np.random.default_rng(0), 0.0, rattle=0.0))])
        still = frames.replace(forces=np.zeros_like(frames.forces), stress=np.zeros_like(frames.stress))
        settings = dataclasses.replace(SETTINGS, elements=('Cu',))
        for references in ({'Cu': 3.5}, {}):
            fit = fit_ace(still, references, settings, tmp_path)
            assert np.isfinite(fit.coefficients).all()
            assert all(np.isfinite(value) for value in (*fit.report.noise.values(), *fit.report.log_evidence.values()))


class TestEvidence:
    def test_auto_takes_the_number_of_greatest_evidence(self, tmp_path, monkeypatch):
        monkeypatch.setattr('aiida_mlip_autopipe.engines.ace.fit.SIZES', {size: SIZES[size] for size in (20, 40, 80)})
        fit = fit_ace(training_frames(24), REFERENCES, dataclasses.replace(SETTINGS, functions='auto'), tmp_path)
        evidence = fit.report.log_evidence
        assert list(evidence) == ['40', '80']
        assert fit.report.size == max(evidence, key=lambda size: evidence[size] - 2 * MARGIN * int(size)), 'of two elements'
        assert fit.functions == {'Cu': int(fit.report.size), 'Au': int(fit.report.size)}

    def test_sizes(self):
        assert sizes_to_try(SETTINGS) == [20]
        auto = dataclasses.replace(SETTINGS, functions='auto')
        assert sizes_to_try(auto) == [40, 80, 160, 300, 600]
        six = dataclasses.replace(auto, elements=('Ag', 'Al', 'Au', 'Co', 'Cu', 'Fe'))
        assert sizes_to_try(six) == [40, 80, 160, 300, 600], 'each of 31 combinations needs a function'
        many = dataclasses.replace(auto, elements=tuple(chemical_symbols[1:15]))
        assert sizes_to_try(many) == [600], 'the fit refuses it with the number that is needed'

    def test_held_out_frames(self, frames, fit):
        assert fit.report.held_out_groups == 'lineage'
        assert fit.report.held_out.force > fit.report.errors.force
        single = fit.report.n_rows
        assert single == len(frames) * 7 + 3 * frames.counts.sum()


class TestCore:
    def walls(self, frames, folder, fit, **kwargs):
        paths = wall_paths(frames, ELEMENTS, cutoff=CUTOFF, depth=0.3, n_points=40)
        return [wall_finding(path, evaluate(path.structures, folder, fit)[0], limit=0.01) for path in paths]

    @pytest.fixture(scope='class')
    @staticmethod
    def cold():
        rng = np.random.default_rng(5)
        return Frames.from_atoms([labelled(alloy(rng, (i % 5) / 4, rattle=0.02)) for i in range(24)])

    @pytest.mark.parametrize('functions', [20, 80])
    def test_all_walls_rise(self, cold, tmp_path, functions):
        settings = dataclasses.replace(SETTINGS, functions=functions, ridge=1e-12)
        fit = fit_ace(cold, REFERENCES, settings, tmp_path)
        findings = self.walls(cold, tmp_path, fit)
        assert all(found.passed for found in findings), [found.message for found in findings]

    def test_they_do_not_without(self, cold, tmp_path, monkeypatch):
        monkeypatch.setattr(search_module, 'core_paths', lambda *_: [])
        settings = dataclasses.replace(SETTINGS, functions=80, ridge=1e-12, core=False)
        fit = fit_ace(cold, REFERENCES, settings, tmp_path)
        assert not all(found.passed for found in self.walls(cold, tmp_path, fit))

    def test_it_acts_on_no_training_frame(self, frames, fit):
        for pair, distance in fit.shortest.items():
            assert distance > 2.0, pair
        assert set(fit.shortest) == {'-'.join(pair) for pair in itertools.combinations_with_replacement(sorted(ELEMENTS), 2)}


class TestRefused:
    @pytest.mark.parametrize(
        ('change', 'said'),
        [
            ({'functions': 9}, 'functions is 9, expected at least 10'),
            ({'functions': 'many'}, "functions is 'many', expected a number or auto"),
            ({'cutoff': 1.0}, 'cutoff is 1.0 Å, expected 2.0 to 12.0 Å'),
            ({'cutoff': 13.0}, 'cutoff is 13.0 Å'),
            ({'cutoff': float('nan')}, 'cutoff is nan Å'),
            ({'ridge': 0.0}, 'ridge is 0.0'),
        ],
    )
    def test_settings(self, change, said):
        with pytest.raises(InputError, match=said):
            dataclasses.replace(SETTINGS, **change)

    def test_too_few_functions_for_the_elements(self, frames, tmp_path):
        elements = (*ELEMENTS, 'Ag', 'Al', 'Ni')
        rng = np.random.default_rng(0)
        atoms = alloy(rng, size=(2, 2, 1))
        atoms.symbols[:5] = ['Ag', 'Al', 'Ni', 'Cu', 'Au']
        five = Frames.from_atoms([labelled(atoms)])
        settings = dataclasses.replace(SETTINGS, elements=elements, functions=10)
        with pytest.raises(InputError, match='functions: got 10; with 5 elements each has 16 combinations'):
            fit_ace(five, {}, settings, tmp_path)

    def test_unlabelled_frames(self, frames, tmp_path):
        mixed = Frames.concatenate([frames.take([0]), Frames.from_atoms([alloy(np.random.default_rng(0))])])
        with pytest.raises(FitError, match='frame 1 of the training set has no energy and forces'):
            fit_ace(mixed, REFERENCES, SETTINGS, tmp_path)

    def test_an_element_without_training_atoms(self, frames, tmp_path):
        with pytest.raises(FitError, match=r"elements \['Ag'\] do not occur"):
            fit_ace(frames, {**REFERENCES, 'Ag': 1.0}, dataclasses.replace(SETTINGS, elements=(*ELEMENTS, 'Ag')), tmp_path)

    def test_an_element_too_many(self, frames, tmp_path):
        with pytest.raises(InputError, match=r'frame 1: .*Au'):
            fit_ace(frames, {'Cu': 3.5}, dataclasses.replace(SETTINGS, elements=('Cu',)), tmp_path)

    def test_a_frame_that_is_not_periodic(self, frames, tmp_path):
        atoms = labelled(alloy(np.random.default_rng(0)))
        atoms.pbc = False
        mixed = Frames.concatenate([frames.take([0]), Frames.from_atoms([atoms])])
        with pytest.raises(InputError, match=r'frame 1: .*periodic'):
            fit_ace(mixed, REFERENCES, SETTINGS, tmp_path)

    def test_one_reference_missing(self, frames, tmp_path):
        with pytest.raises(InputError, match=r"elements \['Au'\] have no isolated-atom energy"):
            fit_ace(frames, {'Cu': 3.5}, SETTINGS, tmp_path)

    def test_no_two_neighbours(self, tmp_path):
        lonely = alloy(np.random.default_rng(0), 0.0)[:1]
        lonely.set_cell([12.0] * 3)
        with pytest.raises(InputError, match=r'no two atoms of .* are nearer than the cutoff'):
            fit_ace(Frames.from_atoms([labelled(lonely)]), {'Cu': 3.5}, dataclasses.replace(SETTINGS, elements=('Cu',)), tmp_path)
