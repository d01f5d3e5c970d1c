"""Stage train with linear ACE: a potential that can be run, its report, and what is refused."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.common.trainer_predictions import TRAINER_PREDICTIONS, TrainerPredictions
from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET, POTENTIAL_FILES
from aiida_mlip_autopipe.engines.ace.library import pyace_module
from aiida_mlip_autopipe.engines.ace.potential import functions_of
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.remote.potential_files import read_potential
from aiida_mlip_autopipe.science.checks.training import GAMMA_TOLERANCE, training_findings
from aiida_mlip_autopipe.science.linear.posterior import POSTERIOR, Posterior
from tests.remote.conftest import Outcome, run_in

pytest.importorskip('pyace')
pytestmark = pytest.mark.lammps

Stage = Callable[..., Outcome]
TRAIN: dict[str, Any] = {
    'settings': {'trainer': 'mlip_autopipe.ace', 'cutoff': 4.5, 'functions': 40},
    'elements': ['Cu', 'Au'],
    'seed': 1,
}
FORCE_ERROR = 0.1
"""eV/Å, training error that 40 functions stay below on this set."""


def changed(functions: int | str = 40, **settings: Any) -> dict[str, Any]:
    values = copy.deepcopy(TRAIN)
    values['settings'].update(settings)
    values['settings']['functions'] = functions
    return values


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory, training: Frames, references: Frames) -> Outcome:
    return run_in(tmp_path_factory.mktemp('train') / 'job', 'train-ace', TRAIN, frames=training, references=references)


@pytest.fixture(scope='module')
def potential(trained: Outcome) -> Path:
    return trained.folder / files.POTENTIAL


class TestFit:
    def test_files(self, trained: Outcome, potential: Path) -> None:
        assert trained.status == 0
        own = {POSTERIOR, TRAINER_PREDICTIONS, files.POTENTIAL_RECORD}
        assert {path.name for path in potential.iterdir()} == {*POTENTIAL_FILES, *own}

    def test_record(self, trained: Outcome, training: Frames, references: Frames, potential: Path) -> None:
        record = PotentialRecord.from_json((potential / files.POTENTIAL_RECORD).read_text())
        assert (record.engine, record.elements, record.cutoff, record.active_set) == ('pace', ('Cu', 'Au'), 4.5, ACTIVE_SET)
        assert record.reference_energies == dict(zip(('Cu', 'Au'), references.energy.tolist(), strict=True))
        assert record.energy_shift == record.reference_energies
        assert record.fingerprint == training.fingerprint[0]
        assert record.foreign_files({name: (potential / name).read_bytes() for name in POTENTIAL_FILES}) == []
        assert set(record.checksums) == set(POTENTIAL_FILES), 'the three files are tied together'
        assert all(str(trained.folder) not in line for line in (*record.pair_lines, *record.grade_lines)), 'paths are relative'
        assert read_potential(trained.folder).has_grade

    def test_report(self, trained: Outcome, training: Frames, potential: Path) -> None:
        report = trained.report
        assert report['engine'] == 'pace'
        assert report['functions'] == functions_of((potential / POTENTIAL_FILES[0]).read_text()) == {'Cu': 40, 'Au': 40}
        assert report['n_coefficients'] == 80 == len(Posterior.load(potential).root)
        assert report['n_frames'] == len(training)
        assert report['n_rows'] == len(training) * (1 + 6) + 3 * len(training.numbers)
        assert set(report['weights']) == set(report['noise']) == {'energy', 'force', 'stress'}
        assert list(report['log_evidence']) == ['40']
        assert set(report['training_errors']) == {'energy_rmse', 'force_rmse', 'stress_rmse'}
        assert 0 < report['training_errors']['force_rmse'] < FORCE_ERROR
        assert report['held_out_errors']['force_rmse'] > report['training_errors']['force_rmse']
        assert 0 < report['gamma_train_max'] <= GAMMA_TOLERANCE
        assert set(report['shortest_distances']) == {'Au-Au', 'Au-Cu', 'Cu-Cu'}
        assert set(report['seconds']) == {'rows', 'solve', 'active_set'}

    def test_own_predictions_are_kept_for_the_checks(self, training: Frames, potential: Path) -> None:
        own = TrainerPredictions.load(potential)
        assert own is not None
        compared = training.take(own.frames)
        assert np.abs((own.energy - compared.energy) / compared.counts).max() < FORCE_ERROR

    def test_same_inputs_give_the_same_potential(self, stage: Stage, training: Frames, references: Frames) -> None:
        small = training.take(np.arange(0, len(training), 2))
        settings = changed('auto', ridge=1e-6, stress_weight=0, core_repulsion=False)
        settings['settings']['functions'] = 20
        first, second = (stage('train-ace', settings, frames=small, references=references) for _ in range(2))
        for name in (*POTENTIAL_FILES, files.POTENTIAL_RECORD):
            a, b = (outcome.folder / files.POTENTIAL / name for outcome in (first, second))
            assert a.read_bytes() == b.read_bytes()
        assert {**first.report, 'seconds': 0} == {**second.report, 'seconds': 0}
        assert first.report['ridge'] == 1e-6
        assert 'stress_rmse' not in first.report['training_errors']
        assert 'zbl' not in (first.folder / files.POTENTIAL / POTENTIAL_FILES[0]).read_text()

    def test_without_isolated_atoms_and_stresses(self, stage: Stage, training: Frames) -> None:
        outcome = stage('train-ace', TRAIN, frames=training.replace(has_stress=False))
        report, folder = outcome.report, outcome.folder / files.POTENTIAL
        assert report['reference_energies'] == {}
        record = PotentialRecord.from_json((folder / files.POTENTIAL_RECORD).read_text())
        assert record.reference_energies == {}
        assert record.energy_shift == report['energy_shift'] != {}
        evaluated = stage('evaluate', {}, potential=folder, frames=training).report
        for name in ('energy_rmse', 'force_rmse'):
            assert evaluated['errors'][name] == pytest.approx(report['training_errors'][name], rel=1e-5)
        assert evaluated['force_spread_max'] > 0


class TestEvaluate:
    @pytest.fixture(scope='class')
    @staticmethod
    def evaluated(tmp_path_factory: pytest.TempPathFactory, potential: Path, training: Frames) -> Outcome:
        return run_in(tmp_path_factory.mktemp('evaluate') / 'job', 'evaluate', {}, potential=potential, frames=training)

    def test_predictions(self, evaluated: Outcome, training: Frames) -> None:
        n_frames, n_atoms = len(training), len(training.numbers)
        shapes = {name: column.shape for name, column in evaluated.arrays('predictions').items()}
        assert shapes == {
            'energy': (n_frames,),
            'forces': (n_atoms, 3),
            'stress': (n_frames, 6),
            'gamma': (n_atoms,),
            'energy_spread': (n_frames,),
            'force_spread': (n_atoms,),
        }

    def test_trainer_and_lammps_agree(self, evaluated: Outcome, trained: Outcome) -> None:
        mine, theirs = trained.report, evaluated.report
        assert theirs['errors']['force_rmse'] == pytest.approx(mine['training_errors']['force_rmse'], rel=1e-6)
        assert theirs['errors']['energy_rmse'] == pytest.approx(mine['training_errors']['energy_rmse'], rel=1e-6)
        assert theirs['errors']['stress_rmse'] == pytest.approx(mine['training_errors']['stress_rmse'], rel=1e-5)
        findings = training_findings(mine['training_errors'], theirs['errors'], theirs['gamma_max'])
        assert all(finding.passed for finding in findings)

    def test_calibration(self, evaluated: Outcome) -> None:
        found = evaluated.report['calibration']
        assert 0.5 < found['force']['rms'] < 1.5, 'the fit states its own training errors rightly'
        assert found['force']['within_one'] < found['force']['within_two'] <= 1
        assert found['energy']['count'] == evaluated.report['n_frames']


class TestRefused:
    def test_without_pyace(self, stage: Stage, training: Frames, references: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, 'pyace', None)
        pyace_module.cache_clear()
        outcome = stage('train-ace', TRAIN, frames=training, references=references)
        pyace_module.cache_clear()
        error = outcome.error
        assert error['kind'] == 'InstallationError'
        assert 'python-ace, which ACE needs, cannot be loaded' in error['message']
        assert 'pip install python-ace==0.4.0rc1' in error['message']
        assert 'train: {trainer: mlip_autopipe.pod}' in error['message']
        assert not (outcome.folder / files.POTENTIAL).exists()

    def test_missing_frames(self, stage: Stage, references: Frames) -> None:
        error = stage('train-ace', TRAIN, references=references).error
        assert error == {'kind': 'InputError', 'message': 'frames.npz: the frames of the input frames are missing'}

    def test_reference_of_one_element_missing(self, stage: Stage, training: Frames, references: Frames) -> None:
        error = stage('train-ace', TRAIN, frames=training, references=references.take([0])).error
        assert error['kind'] == 'FitError'
        assert error['message'].startswith("no labelled isolated atom of ['Au']")

    def test_mixed_fingerprints(self, stage: Stage, training: Frames, references: Frames) -> None:
        error = stage('train-ace', TRAIN, frames=training, references=references.replace(fingerprint='pbe')).error
        assert error['message'].startswith('labels of 2 levels of theory are never mixed in one fit')

    def test_element_without_training_atoms(self, stage: Stage, training: Frames, references: Frames) -> None:
        copper = training.take([i for i in range(len(training)) if set(training.symbols(i)) == {'Cu'}])
        error = stage('train-ace', TRAIN, frames=copper, references=references).error
        assert error['message'].startswith("elements ['Au'] do not occur in the training set")

    @pytest.mark.parametrize(
        ('settings', 'said'),
        [
            ({'functions': 9}, 'train.functions: got 9'),
            ({'function': 20}, "unknown key; did you mean 'functions'?"),
        ],
    )
    def test_bad_settings(self, stage: Stage, training: Frames, references: Frames, settings: dict[str, Any], said: str) -> None:
        values = copy.deepcopy(TRAIN)
        values['settings'].update(settings)
        error = stage('train-ace', values, frames=training, references=references).error
        assert error['kind'] == 'InputError'
        assert said in error['message']
