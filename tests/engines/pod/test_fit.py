import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.trainer_predictions import TRAINER_PREDICTIONS
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.pod import fit as module
from aiida_mlip_autopipe.engines.pod.files import (
    ACTIVE_SET,
    COEFFICIENTS,
    PARAMETERS,
    pair_lines,
    parameter_text,
)
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, bases_to_try, fit_pod, shortest_distance
from aiida_mlip_autopipe.science.linear.posterior import POSTERIOR, Posterior
from aiida_mlip_autopipe.science.linear.search import MARGIN
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet
from tests import pod_data
from tests.pod_data import CUTOFF, ELEMENTS, REFERENCES, alloy, labelled, training_frames

pytestmark = pytest.mark.lammps

SETTINGS = PodSettings(elements=ELEMENTS, cutoff=CUTOFF, basis='S', ridge=1e-8)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_training_errors_are_those_of_pair_style_pod_with_its_core(fitted):
    found = evaluate_frames(fitted.frames, fitted.potential)
    frames, errors = fitted.frames, fitted.fit.report.errors
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


def test_the_basis_is_the_largest_that_is_worth_its_coefficients(fitted):
    report = fitted.fit.report
    gain = report.log_evidence['M'] - report.log_evidence['S']
    assert report.size == ('M' if gain >= MARGIN * (474 - 122) else 'S')
    assert list(report.log_evidence) == ['S', 'M'], 'too few atoms for L'
    assert (fitted.folder / PARAMETERS).read_text() == parameter_text(ELEMENTS, report.size, CUTOFF)


def test_errors_that_were_held_out_are_told_beside_those_of_the_training(fitted):
    report = fitted.fit.report
    assert report.held_out_groups == 'lineage'
    assert report.held_out.force > report.errors.force


def test_core_stays_below_the_shortest_training_distance(fitted):
    assert fitted.fit.core.outer < fitted.fit.shortest
    assert fitted.fit.core.inner < fitted.fit.core.outer


def test_files_hold_the_fit(tmp_path):
    frames = training_frames(10)
    fit = fit_pod(frames, REFERENCES, SETTINGS, tmp_path)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / COEFFICIENTS, skiprows=1), fit.coefficients)
    assert (tmp_path / PARAMETERS).read_text().startswith('species Cu Au\n')
    sizes = {ELEMENTS[kind]: len(element.atoms) for kind, element in ActiveSet.load(tmp_path / ACTIVE_SET).elements.items()}
    assert sizes == fit.active_atoms
    assert fit.report.n_rows == 10 + 3 * frames.counts.sum() + 60
    assert Posterior.load(tmp_path).root.shape == (122, 122)
    assert {path.name for path in tmp_path.iterdir()} == {PARAMETERS, COEFFICIENTS, ACTIVE_SET, POSTERIOR, TRAINER_PREDICTIONS}
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
    assert shifted.report.errors.force == pytest.approx(plain.report.errors.force, rel=1e-4)
    np.testing.assert_allclose(shifted.coefficients[[0, 61]] - plain.coefficients[[0, 61]], shift, atol=1e-3)


def test_a_fixed_one_body_term_is_the_isolated_atom(tmp_path):
    fit = fit_pod(training_frames(8), REFERENCES, dataclasses.replace(SETTINGS, free_one_body=False), tmp_path)
    assert fit.coefficients[[0, 61]].tolist() == [REFERENCES['Cu'], REFERENCES['Au']]


def test_without_stresses(tmp_path):
    frames = training_frames(6)
    fit = fit_pod(frames, REFERENCES, dataclasses.replace(SETTINGS, stress_weight=0.0, core=False), tmp_path)
    assert fit.report.errors.stress is None
    assert fit.core is None
    bare = frames.replace(has_stress=False)
    again = fit_pod(bare, REFERENCES, dataclasses.replace(SETTINGS, core=False), tmp_path)
    np.testing.assert_array_equal(again.coefficients, fit.coefficients)


def test_without_isolated_atoms_an_energy_of_each_element_is_fitted(tmp_path):
    frames = training_frames(12)
    for free in (True, False):
        settings = dataclasses.replace(SETTINGS, free_one_body=free, stress_weight=0.0)
        fit = fit_pod(frames, {}, settings, tmp_path)
        found = evaluate_frames(frames, pod_data.potential_of(fit, tmp_path))
        assert rms((found.energy - frames.energy) / frames.counts) == pytest.approx(fit.report.errors.energy, rel=1e-6)
        assert fit.report.errors.energy < 0.01
    bound = fit_pod(frames, REFERENCES, settings, tmp_path)
    assert fit.report.errors.force == pytest.approx(bound.report.errors.force, rel=0.2)


def test_one_lineage_is_split_by_frame_and_one_frame_not_at_all(tmp_path):
    frames = training_frames(6).replace(lineage='root')
    settings = dataclasses.replace(SETTINGS, ridge=None, stress_weight=0.0)
    assert fit_pod(frames, REFERENCES, settings, tmp_path).report.held_out_groups == 'frame'
    single = fit_pod(frames.take([2]), REFERENCES, settings, tmp_path).report
    assert (single.held_out_groups, single.held_out) == ('none', None)


def test_auto_tries_the_large_basis_only_where_it_may_pay(monkeypatch):
    frames, auto = training_frames(5), dataclasses.replace(SETTINGS, basis='auto')
    assert bases_to_try(frames, auto) == ['S', 'M']
    monkeypatch.setattr(module, 'LARGE_BASIS_ATOMS', 10)
    assert bases_to_try(frames, auto) == ['S', 'M', 'L']
    assert bases_to_try(frames, dataclasses.replace(auto, basis='L')) == ['L']


@pytest.mark.parametrize(
    'change',
    [{'basis': 'XL'}, {'cutoff': 0.5}, {'force_weight': -1.0}],
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


def test_frames_are_named():
    frames = Frames.from_atoms([bulk('Cu'), bulk('Ag')])
    with pytest.raises(InputError, match=r"frame 1: elements \['Ag'\]"):
        shortest_distance(frames, ['Cu'], 4.5)
    open_frame = bulk('Cu')
    open_frame.pbc = [True, True, False]
    with pytest.raises(InputError, match=r'frame 0: .*periodic'):
        shortest_distance(Frames.from_atoms([open_frame]), ['Cu'], 4.5)


def test_shortest_distance_is_handed_back():
    frames = Frames.from_atoms([bulk('Cu', a=3.6), bulk('Cu', a=3.2)])
    assert shortest_distance(frames, ['Cu'], 4.5) == pytest.approx(3.2 / np.sqrt(2))
