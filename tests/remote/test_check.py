"""Stage check: a good potential passes with a number for every check, and each kind of damage is found and told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.trainer_predictions import TRAINER_PREDICTIONS
from aiida_mlip_autopipe.engines.pod.files import COEFFICIENTS, coefficient_text
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from aiida_mlip_autopipe.remote import check
from tests.remote.conftest import Outcome, run_in

Stage = Callable[..., Outcome]
SMALL = {'compared_frames': 3, 'stress_frames': 1, 'wall_points': 6, 'nve_structures': 2, 'nve_time': 50}
STAGE = {'settings': SMALL, 'seed': 1}
WALLS = ['wall_Cu-Cu', 'wall_Cu-Au', 'wall_Au-Au']
NAMES = ['loads', 'energy_agreement', 'force_agreement', 'stress_derivative', *WALLS, 'nve_drift', 'nve_fluctuation']

pytestmark = pytest.mark.lammps


@pytest.fixture(scope='module')
def passed(tmp_path_factory: pytest.TempPathFactory, potential: Path, training: Frames) -> Outcome:
    return run_in(tmp_path_factory.mktemp('check') / 'job', 'check', STAGE, potential=potential, frames=training)


@pytest.fixture
def damaged(potential: Path, tmp_path: Path) -> Path:
    """Return a copy of the potential that a test may spoil."""
    return Path(shutil.copytree(potential, tmp_path / 'damaged'))


def by_name(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {entry['check']: entry for entry in outcome.report['checks']}


def failed(outcome: Outcome) -> dict[str, str]:
    return {name: entry['message'] for name, entry in by_name(outcome).items() if entry['passed'] is False}


def test_a_good_potential_passes_all(passed: Outcome) -> None:
    assert list(by_name(passed)) == NAMES
    assert failed(passed) == {}


def test_every_check_has_its_number_and_its_sentence(passed: Outcome) -> None:
    for name, entry in by_name(passed).items():
        assert isinstance(entry['value'], float), name
        assert entry['message']
        if name != 'loads':
            assert entry['value'] <= entry['limit']
            assert entry['unit']


def test_trainer_and_lammps_agree_to_rounding(passed: Outcome) -> None:
    checks = by_name(passed)
    assert checks['energy_agreement']['value'] < 1e-10
    assert checks['force_agreement']['value'] < 1e-9


def test_curves(passed: Outcome) -> None:
    curves = passed.arrays('curves')
    for name in ('Cu_Cu', 'Cu_Au', 'Au_Au'):
        assert curves[f'wall_{name}_distance'].shape == curves[f'wall_{name}_energy'].shape == (6,)
    assert curves['nve_energy'].shape == (2, 6)
    assert curves['nve_time'].tolist() == [0, 10, 20, 30, 40, 50]


def test_wrong_coefficients_do_not_agree_with_the_trainer(stage: Stage, damaged: Path, training: Frames) -> None:
    coefficients = np.loadtxt(damaged / COEFFICIENTS, skiprows=1)
    coefficients[61:] *= 1.001
    (damaged / COEFFICIENTS).write_text(coefficient_text(coefficients))
    found = failed(stage('check', STAGE, potential=damaged, frames=training))
    assert set(found) == {'energy_agreement', 'force_agreement'}
    assert 'energies of LAMMPS and of the trainer differ by up to' in found['energy_agreement']


def test_swapped_elements_do_not_agree_with_the_trainer(stage: Stage, damaged: Path, training: Frames) -> None:
    """POD maps types by their order, whatever names stand in its line."""
    record = damaged / POTENTIAL_RECORD
    values = json.loads(record.read_text())
    record.write_text(json.dumps({**values, 'elements': values['elements'][::-1]}))
    assert {'energy_agreement', 'force_agreement'} <= set(failed(stage('check', STAGE, potential=damaged, frames=training)))


def test_a_potential_that_attracts_has_no_walls(stage: Stage, damaged: Path, training: Frames) -> None:
    coefficients = np.loadtxt(damaged / COEFFICIENTS, skiprows=1)
    (damaged / COEFFICIENTS).write_text(coefficient_text(-coefficients))
    record = damaged / POTENTIAL_RECORD
    text = record.read_text()
    record.write_text(text.replace('hybrid/overlay pod zbl', 'hybrid/overlay pod zbl').replace('zbl 29 29', 'zbl 1 1'))
    found = failed(stage('check', {**STAGE, 'settings': {**SMALL, 'nve_structures': 1}}, potential=damaged, frames=training))
    assert 'wall_Cu-Cu' in found
    assert 'nothing keeps these atoms apart' in found['wall_Cu-Cu']


def test_a_potential_that_cannot_be_loaded_is_told_and_nothing_else_is_tried(
    stage: Stage, damaged: Path, training: Frames
) -> None:
    (damaged / COEFFICIENTS).write_text('model_coefficients: 3 0 0\n1.0\n')
    outcome = stage('check', STAGE, potential=damaged, frames=training)
    assert list(by_name(outcome)) == ['loads']
    assert failed(outcome)['loads'].startswith('LAMMPS cannot use the potential: ')
    assert not outcome.has('curves')


def test_a_lammps_without_the_pair_style(stage: Stage, damaged: Path, training: Frames) -> None:
    record = damaged / POTENTIAL_RECORD
    record.write_text(record.read_text().replace('hybrid/overlay pod', 'hybrid/overlay pace'))
    error = stage('check', STAGE, potential=damaged, frames=training).error
    assert error['kind'] == 'InstallationError', 'no fault of the potential'
    assert 'built without the package ML-PACE' in error['message']
    assert 'PKG_ML-PACE=yes' in error['message']


def test_a_trainer_without_predictions_of_its_own(stage: Stage, damaged: Path, training: Frames) -> None:
    (damaged / TRAINER_PREDICTIONS).unlink()
    outcome = stage('check', STAGE, potential=damaged, frames=training)
    checks = by_name(outcome)
    assert [checks[name]['passed'] for name in ('loads', 'energy_agreement', 'force_agreement')] == [True, None, None]
    assert failed(outcome) == {}


def test_limits_come_from_the_settings(stage: Stage, potential: Path, training: Frames) -> None:
    strict = {**SMALL, 'nve_fluctuation': 1e-9, 'stress_tolerance': 1e-15}
    found = failed(stage('check', {'settings': strict, 'seed': 1}, potential=potential, frames=training))
    assert set(found) == {'nve_fluctuation', 'stress_derivative'}


def test_a_run_that_fails_names_its_structure(
    stage: Stage, potential: Path, training: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def nve(subject: Any, structures: list[Any], *_: Any) -> np.ndarray:
        calls.append(len(structures))
        if calls in ([2], [2, 1, 1]):  # together, and the second one alone
            raise EngineError('Lost atoms: original 8 current 7')
        return np.zeros((1, 6))

    monkeypatch.setattr(check, '_nve', nve)
    found = failed(stage('check', STAGE, potential=potential, frames=training))
    assert found['nve_drift'].startswith('50 steps at constant energy fail on base structure 1, ')
    assert found['nve_drift'].endswith('Lost atoms: original 8 current 7')


def test_runs_that_fail_only_together(stage: Stage, potential: Path, training: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    def nve(subject: Any, structures: list[Any], *_: Any) -> np.ndarray:
        if len(structures) > 1:
            raise EngineError('killed')
        return np.zeros((1, 6))

    monkeypatch.setattr(check, '_nve', nve)
    assert (
        'failed together and not one by one' in failed(stage('check', STAGE, potential=potential, frames=training))['nve_drift']
    )


@pytest.mark.parametrize('name', ['stress_derivative', 'wall_Cu-Cu'])
def test_a_crash_of_lammps_is_a_failed_check(
    stage: Stage, potential: Path, training: Frames, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real, calls = check._evaluated, []

    def evaluate(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == {'stress_derivative': 2, 'wall_Cu-Cu': 3}[name]:
            raise EngineError('crashed with signal SIGSEGV')
        return real(*arguments)

    monkeypatch.setattr(check, '_evaluated', evaluate)
    found = failed(stage('check', STAGE, potential=potential, frames=training))
    assert list(found) == [name]
    assert 'SIGSEGV' in found[name]


class TestRefused:
    def test_settings_with_a_mistake(self, stage: Stage, potential: Path, training: Frames) -> None:
        bad = {'settings': {'nve_temperature': -1}, 'seed': 1}
        error = stage('check', bad, potential=potential, frames=training).error
        assert error['kind'] == 'InputError'
        assert error['message'].startswith('nve_temperature: got -1')

    def test_frames_of_another_training(self, stage: Stage, potential: Path, training: Frames) -> None:
        error = stage('check', STAGE, potential=potential, frames=training.take([0, 1])).error
        assert 'the training set holds 2 frames' in error['message']

    def test_missing_potential(self, stage: Stage, training: Frames) -> None:
        error = stage('check', STAGE, frames=training).error
        assert error['message'] == 'potential/potential.json: the record of the potential is missing'
