import dataclasses

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.pod import ACTIVE_SET, COEFFICIENTS, PARAMETERS, read_coefficients
from aiida_mlip_autopipe.formats.pod import pair_lines
from aiida_mlip_autopipe.science.evaluate import evaluate_frames
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential
from aiida_mlip_autopipe.science.pod import fit as module
from aiida_mlip_autopipe.science.pod.fit import PodSettings, base_energies, choose_basis, fit_pod
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet
from tests.pod_data import CUTOFF, ELEMENTS, REFERENCES, alloy, labelled, training_frames

pytestmark = pytest.mark.lammps

SETTINGS = PodSettings(ELEMENTS, CUTOFF, basis='S', ridge=1e-8)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_training_errors_are_those_of_pair_style_pod_with_its_core(fitted):
    found = evaluate_frames(fitted.frames, fitted.potential)
    frames, errors = fitted.frames, fitted.fit.errors
    assert rms((found.energy - frames.energy) / frames.counts) == pytest.approx(errors.energy, rel=1e-6)
    assert rms(found.forces - frames.forces) == pytest.approx(errors.force, rel=1e-6)
    assert rms(found.stress - frames.stress) == pytest.approx(errors.stress, rel=1e-5)


def test_potential_predicts_frames_it_has_not_seen(fitted):
    fresh = training_frames(10, seed=99)
    found = evaluate_frames(fresh, fitted.potential)
    assert rms((found.energy - fresh.energy) / fresh.counts) < 0.03  # eV/atom
    assert rms(found.forces - fresh.forces) < 0.35 * rms(fresh.forces)


def test_grades_of_the_training_atoms(fitted):
    assert fitted.fit.gamma_train_max <= 1.01 + 1e-9
    assert evaluate_frames(fitted.frames, fitted.potential).gamma.max() <= 1.01 + 1e-6


def test_ridge_comes_from_cross_validation_by_lineage(fitted):
    scores = fitted.fit.ridge_scores
    assert fitted.fit.ridge == min(scores, key=scores.__getitem__)
    assert fitted.fit.ridge_groups == 'lineage'


def test_core_stays_below_the_shortest_training_distance(fitted):
    assert fitted.fit.core.outer < fitted.fit.shortest
    assert fitted.fit.core.inner < fitted.fit.core.outer


def test_files_hold_the_fit(tmp_path):
    frames = training_frames(10)
    fit = fit_pod(frames, REFERENCES, SETTINGS, tmp_path)
    np.testing.assert_array_equal(read_coefficients((tmp_path / COEFFICIENTS).read_text()), fit.coefficients)
    assert (tmp_path / PARAMETERS).read_text().startswith('species Cu Au\n')
    sizes = {ELEMENTS[kind]: len(element.atoms) for kind, element in ActiveSet.load(tmp_path / ACTIVE_SET).elements.items()}
    assert sizes == fit.active_atoms
    assert fit.n_rows == 10 + 3 * frames.counts.sum() + 60
    assert set(fit.seconds) == {'rows', 'solve', 'active_set'}


def test_same_input_gives_the_same_coefficients(tmp_path):
    frames = training_frames(8)
    settings = dataclasses.replace(SETTINGS, ridge=None, seed=3)
    first, second = (fit_pod(frames, REFERENCES, settings, tmp_path).coefficients for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_order_of_the_elements_does_not_change_the_model(tmp_path):
    frames = training_frames(10)
    predictions = []
    for elements in (ELEMENTS, ELEMENTS[::-1]):
        folder = tmp_path / elements[0]
        folder.mkdir()
        fit = fit_pod(frames, REFERENCES, dataclasses.replace(SETTINGS, elements=elements, ridge=1e-6), folder)
        potential = LammpsPotential(elements, tuple(pair_lines(elements, fit.core, str(folder))), CUTOFF)
        predictions.append(evaluate_frames(frames, potential))
    np.testing.assert_allclose(predictions[1].energy, predictions[0].energy, atol=1e-6)
    np.testing.assert_allclose(predictions[1].forces, predictions[0].forces, atol=1e-6)


def test_a_large_offset_of_the_energies_does_not_matter(tmp_path):
    frames = training_frames(8)
    plain = fit_pod(frames, REFERENCES, SETTINGS, tmp_path)
    numbers = np.array([[frames.symbols(i).count(e) for e in ELEMENTS] for i in range(len(frames))])
    shift = np.array([-30000.0, -80000.0])
    moved = frames.replace(energy=frames.energy + numbers @ shift)
    references = {e: REFERENCES[e] + s for e, s in zip(ELEMENTS, shift, strict=True)}
    shifted = fit_pod(moved, references, SETTINGS, tmp_path)
    assert shifted.errors.force == pytest.approx(plain.errors.force, rel=1e-4)
    np.testing.assert_allclose(shifted.coefficients[[0, 61]] - plain.coefficients[[0, 61]], shift, atol=1e-3)


def test_a_fixed_one_body_term_is_the_isolated_atom(tmp_path):
    fit = fit_pod(training_frames(8), REFERENCES, dataclasses.replace(SETTINGS, free_one_body=False), tmp_path)
    assert fit.coefficients[[0, 61]].tolist() == [REFERENCES['Cu'], REFERENCES['Au']]


def test_without_stresses(tmp_path):
    frames = training_frames(6)
    fit = fit_pod(frames, REFERENCES, dataclasses.replace(SETTINGS, stress_weight=0.0, core=False), tmp_path)
    assert fit.errors.stress is None
    assert fit.core is None
    bare = frames.replace(has_stress=False)
    again = fit_pod(bare, REFERENCES, dataclasses.replace(SETTINGS, core=False), tmp_path)
    np.testing.assert_array_equal(again.coefficients, fit.coefficients)


def test_one_lineage_is_split_by_frame_and_one_frame_not_at_all(tmp_path):
    frames = training_frames(6).replace(lineage='root')
    settings = dataclasses.replace(SETTINGS, ridge=None, stress_weight=0.0)
    assert fit_pod(frames, REFERENCES, settings, tmp_path).ridge_groups == 'frame'
    single = fit_pod(frames.take([2]), REFERENCES, settings, tmp_path)
    assert (single.ridge_groups, single.ridge) == ('none', module.LONE_GROUP_RIDGE)


@pytest.mark.parametrize(('limits', 'basis'), [((2000, 300), 'S'), ((2000, 10), 'M'), ((10, 5), 'L')])
def test_auto_takes_the_basis_that_the_rarest_element_allows(monkeypatch, limits, basis):
    monkeypatch.setattr(module, 'AUTO_BASES', dict(zip('LM', limits, strict=True)))
    assert choose_basis(training_frames(5), dataclasses.replace(SETTINGS, basis='auto')) == basis


def test_base_energies_absorb_the_composition():
    frames = training_frames(10)
    base = base_energies(frames, REFERENCES, SETTINGS)
    numbers = np.array([[frames.symbols(i).count(e) for e in ELEMENTS] for i in range(len(frames))])
    assert rms((frames.energy - numbers @ base) / frames.counts) < rms(frames.energy / frames.counts)


@pytest.mark.parametrize(
    'change',
    [{'basis': 'XL'}, {'ridge': 0.0}, {'cutoff': 0.5}, {'force_weight': -1.0}, {'energy_weight': 0.0, 'force_weight': 0.0}],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(InputError):
        dataclasses.replace(SETTINGS, **change)


def test_frames_on_which_pod_would_crash_are_refused(tmp_path):
    lonely = labelled(Atoms('Cu', cell=[12] * 3, pbc=True))
    frames = Frames.concatenate([training_frames(4), Frames.from_atoms([lonely])])
    with pytest.raises(InputError, match='frame 4'):
        fit_pod(frames, REFERENCES, SETTINGS, tmp_path)


def test_frames_of_an_unexpected_element_are_refused(tmp_path):
    with pytest.raises(InputError, match='Au'):
        fit_pod(training_frames(4), REFERENCES, dataclasses.replace(SETTINGS, elements=('Cu',)), tmp_path)


def test_labels_that_no_potential_can_have_are_refused(tmp_path):
    frames = training_frames(6)
    wrong = frames.replace(forces=np.full_like(frames.forces, 0.2), energy=frames.energy * 50 + np.arange(6) ** 3)
    with pytest.raises(FitError, match='more than the forces themselves'):
        fit_pod(wrong, REFERENCES, SETTINGS, tmp_path)


def test_a_short_distance_lowers_the_inner_radius(tmp_path):
    atoms = alloy(np.random.default_rng(0))
    atoms.positions[1] = atoms.positions[0] + [1.5, 0.0, 0.0]
    frames = Frames.concatenate([training_frames(4), Frames.from_atoms([labelled(atoms)])])
    fit = fit_pod(frames, REFERENCES, dataclasses.replace(SETTINGS, energy_weight=1.0), tmp_path)
    assert fit.shortest <= 1.5
    assert 'rin 0.9' in (tmp_path / PARAMETERS).read_text()
