"""Stage train with POD: a potential that can be loaded, its report, and training sets that are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.common.trainer_predictions import TRAINER_PREDICTIONS, TrainerPredictions
from aiida_mlip_autopipe.engines.pod.files import ACTIVE_SET, COEFFICIENTS, PARAMETERS
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.remote.potential_files import read_potential
from aiida_mlip_autopipe.science.checks.training import GAMMA_TOLERANCE
from aiida_mlip_autopipe.science.linear.posterior import POSTERIOR, Posterior
from tests.remote.conftest import TRAIN, Outcome

Stage = Callable[..., Outcome]
WALL_TIME = 'seconds'
"""The one entry of the report that is not the same from run to run."""

FORCE_ERROR = 0.1
"""eV/Å, training error that a basis of size S stays below on this set."""


def changed(**settings: Any) -> dict[str, Any]:
    values = copy.deepcopy(TRAIN)
    values['settings'].update(settings)
    return values


@pytest.mark.lammps
class TestFit:
    def test_files(self, trained: Outcome) -> None:
        assert trained.status == 0
        found = {path.name for path in (trained.folder / files.POTENTIAL).iterdir()}
        own = {POSTERIOR, TRAINER_PREDICTIONS}
        assert found == {PARAMETERS, COEFFICIENTS, ACTIVE_SET, files.POTENTIAL_RECORD, *own}

    def test_record(self, trained: Outcome, training: Frames, references: Frames) -> None:
        text = (trained.folder / files.POTENTIAL / files.POTENTIAL_RECORD).read_text()
        record = PotentialRecord.from_json(text)
        assert (record.engine, record.elements, record.cutoff, record.active_set) == ('pod', ('Cu', 'Au'), 4.5, ACTIVE_SET)
        assert record.reference_energies == dict(zip(('Cu', 'Au'), references.energy.tolist(), strict=True))
        assert record.fingerprint == training.fingerprint[0]
        assert all(str(trained.folder) not in line for line in (*record.pair_lines, *record.grade_lines)), 'paths are relative'
        assert read_potential(trained.folder).has_grade

    def test_report(self, trained: Outcome, training: Frames) -> None:
        report = trained.report
        coefficients = np.loadtxt(trained.folder / files.POTENTIAL / COEFFICIENTS, skiprows=1)
        assert report['engine'] == 'pod'
        assert (report['n_frames'], report['basis'], report['ridge']) == (len(training), 'S', 1e-6)
        assert report['n_coefficients'] == len(coefficients)
        assert report['n_rows'] == len(training) * (1 + 6) + 3 * len(training.numbers)
        assert 0 < report['training_errors']['force_rmse'] < FORCE_ERROR
        assert set(report['training_errors']) == {'energy_rmse', 'force_rmse', 'stress_rmse'}
        assert 0 < report['gamma_train_max'] <= GAMMA_TOLERANCE
        assert report['core']['outer'] < report['shortest_distance']
        assert set(report['weights']) == set(report['noise']) == {'energy', 'force', 'stress'}
        assert (report['weights']['energy'], report['weights']['force']) == (12.0, 1.0)
        assert list(report['log_evidence']) == ['S']
        assert 0 < report['n_determined'] <= report['n_coefficients']
        assert report['held_out_groups'] == 'lineage'
        assert report['held_out_errors']['force_rmse'] > report['training_errors']['force_rmse']
        assert report['reference_energies'].keys() == {'Cu', 'Au'}
        assert sum(report['active_atoms'].values()) <= len(training.numbers)
        assert report['core_tolerance'] is None or report['core_tolerance'] > 0
        assert len(Posterior.load(trained.folder / files.POTENTIAL).root) == report['n_coefficients']

    def test_own_predictions_are_kept_for_the_checks(self, trained: Outcome, training: Frames) -> None:
        own = TrainerPredictions.load(trained.folder / files.POTENTIAL)
        assert own is not None
        assert len(own.frames) == min(20, len(training))
        compared = training.take(own.frames)
        error = float(np.sqrt(np.mean((own.forces - compared.forces) ** 2)))
        assert error == pytest.approx(trained.report['training_errors']['force_rmse'], rel=0.5)
        assert np.abs((own.energy - compared.energy) / compared.counts).max() < FORCE_ERROR

    def test_settings_arrive_and_same_inputs_give_the_same_potential(
        self, stage: Stage, training: Frames, references: Frames
    ) -> None:
        small = training.take(np.arange(0, len(training), 2))
        settings = changed(ridge='auto', stress_weight=0, core_repulsion=False)
        first, second = (stage('train-pod', settings, frames=small, references=references) for _ in range(2))
        for name in (PARAMETERS, COEFFICIENTS, files.POTENTIAL_RECORD):
            a, b = (outcome.folder / files.POTENTIAL / name for outcome in (first, second))
            assert a.read_bytes() == b.read_bytes()
        assert {**first.report, WALL_TIME: 0} == {**second.report, WALL_TIME: 0}
        assert first.report['core'] is None
        assert 'stress_rmse' not in first.report['training_errors']
        assert first.report['ridge'] != TRAIN['settings']['ridge']
        assert set(first.report['weights']) == {'energy', 'force'}

    def test_weights_by_evidence(self, stage: Stage, training: Frames, references: Frames) -> None:
        settings = changed(energy_weight='auto', stress_weight=50)
        report = stage('train-pod', settings, frames=training, references=references).report
        assert report['weights']['stress'] == 50
        assert report['weights']['energy'] != 12.0

    def test_without_isolated_atoms_and_stresses(self, stage: Stage, training: Frames) -> None:
        outcome = stage('train-pod', TRAIN, frames=training.replace(has_stress=False))
        report = outcome.report
        assert report['reference_energies'] == {}
        assert report['training_errors'].keys() == {'energy_rmse', 'force_rmse'}
        assert report['training_errors']['force_rmse'] < FORCE_ERROR
        record = PotentialRecord.from_json((outcome.folder / files.POTENTIAL / files.POTENTIAL_RECORD).read_text())
        assert record.reference_energies == {}
        evaluated = stage('evaluate', {}, potential=outcome.folder / files.POTENTIAL, frames=training).report
        for name in ('energy_rmse', 'force_rmse'):
            assert evaluated['errors'][name] == pytest.approx(report['training_errors'][name], rel=1e-5)

    def test_unlabelled_frame(self, stage: Stage, training: Frames, generated: Outcome, references: Frames) -> None:
        mixed = Frames.concatenate([training, generated.frames('frames').take([0]).replace(fingerprint=training.fingerprint[0])])
        error = stage('train-pod', TRAIN, frames=mixed, references=references).error
        message = f'frame {len(training)} of the training set has no energy and forces'
        assert error == {'kind': 'FitError', 'message': message}

    def test_element_without_training_atoms(self, stage: Stage, training: Frames, references: Frames) -> None:
        copper = training.take([i for i in range(len(training)) if set(training.symbols(i)) == {'Cu'}])
        error = stage('train-pod', TRAIN, frames=copper, references=references).error
        assert error['kind'] == 'FitError'
        assert error['message'].startswith("elements ['Au'] do not occur in the training set")


class TestRefused:
    def test_missing_frames(self, stage: Stage, references: Frames) -> None:
        error = stage('train-pod', TRAIN, references=references).error
        assert error == {'kind': 'InputError', 'message': 'frames.npz: the frames of the input frames are missing'}

    def test_reference_of_one_element_missing(self, stage: Stage, training: Frames, references: Frames) -> None:
        error = stage('train-pod', TRAIN, frames=training, references=references.take([0])).error
        message = "no labelled isolated atom of ['Au']; its energy is the zero of the energy scale"
        assert error == {'kind': 'FitError', 'message': message}

    def test_reference_without_label(self, stage: Stage, training: Frames, references: Frames) -> None:
        unlabelled = references.replace(labelled=np.array([False, True]), has_stress=np.array([False, True]))
        error = stage('train-pod', TRAIN, frames=training, references=unlabelled).error
        assert error['message'].startswith("no labelled isolated atom of ['Cu']")

    @pytest.mark.parametrize('part', ['frames', 'references'])
    def test_mixed_fingerprints(self, stage: Stage, training: Frames, references: Frames, part: str) -> None:
        inputs = {'frames': training, 'references': references}
        mixed = np.array(inputs[part].fingerprint)
        mixed[-1] = '0' * 16
        outcome = stage('train-pod', TRAIN, **{**inputs, part: inputs[part].replace(fingerprint=mixed)})
        fingerprints = ['0' * 16, str(training.fingerprint[0])]
        message = f'labels of 2 levels of theory are never mixed in one fit: {fingerprints}'
        assert outcome.error == {'kind': 'FitError', 'message': message}
        assert not (outcome.folder / files.POTENTIAL).exists(), 'it is refused before the fit'

    def test_bad_settings(self, stage: Stage, training: Frames, references: Frames) -> None:
        error = stage('train-pod', changed(cutof=3), frames=training, references=references).error
        assert error['message'].startswith("train.cutof: unknown key; did you mean 'cutoff'? allowed here: code, cutoff, checks")

    def test_nothing_is_left_behind(self, stage: Stage, training: Frames, references: Frames) -> None:
        outcome = stage('train-pod', TRAIN, frames=training, references=references.take([0]))
        assert outcome.status == 1
        assert not (outcome.folder / files.POTENTIAL / files.POTENTIAL_RECORD).exists()
