"""Stage evaluate: predictions, errors where there are labels, and the grade of every atom."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.calibration import energy_calibration, force_calibration
from aiida_mlip_autopipe.science.checks.training import training_findings
from aiida_mlip_autopipe.science.linear.posterior import POSTERIOR, Posterior
from aiida_mlip_autopipe.science.metrics import caution, label_errors
from tests.remote.conftest import Outcome, run_in

Stage = Callable[..., Outcome]
pytestmark = pytest.mark.lammps
INVARIANT = 1e-8
"""eV and eV/Å: rounding of positions that are shifted by lattice vectors."""


@pytest.fixture(scope='module')
def evaluated(tmp_path_factory: pytest.TempPathFactory, potential: Path, training: Frames) -> Outcome:
    return run_in(tmp_path_factory.mktemp('evaluate') / 'job', 'evaluate', {}, potential=potential, frames=training)


def test_predictions(evaluated: Outcome, training: Frames) -> None:
    arrays = evaluated.arrays('predictions')
    shapes = {name: column.shape for name, column in arrays.items()}
    n_frames, n_atoms = len(training), len(training.numbers)
    spread = {'energy_spread': (n_frames,), 'force_spread': (n_atoms,)}
    assert shapes == {'energy': (n_frames,), 'forces': (n_atoms, 3), 'stress': (n_frames, 6), 'gamma': (n_atoms,), **spread}
    assert all(np.isfinite(column).all() for column in arrays.values())


def test_report_is_of_these_predictions(evaluated: Outcome, training: Frames) -> None:
    arrays, report = evaluated.arrays('predictions'), evaluated.report
    expected = label_errors(training, arrays['energy'], arrays['forces'], arrays['stress'])
    calibration, groups, ledger = (report.pop(name) for name in ('calibration', 'groups', 'ledger'))
    lineages = {'n_lineages': len(set(training.lineage.tolist()))}
    for name in ('energy', 'force'):
        low, high = report['errors'].pop(f'{name}_interval')
        assert low < report['errors'][f'{name}_rmse'] < high
    assert report == {
        'n_frames': len(training),
        'errors': {**vars(expected), **lineages},
        'caution': caution(len(training)),
        'gamma_max': arrays['gamma'].max(),
        'force_spread_max': arrays['force_spread'].max(),
    }
    assert set(calibration) == {'energy', 'force'}
    assert sum(row['bought'] for row in ledger) == len(training)
    assert set(groups['config_type']) == set(training.config_type.tolist())
    for grouping in groups.values():
        assert sum(group['n_frames'] for group in grouping.values()) == len(training)


def test_the_seed_of_the_intervals_is_a_setting(stage: Stage, potential: Path, training: Frames) -> None:
    frames = training.replace(lineage=training.uid)  # of a few lineages every seed finds the same ends
    outcomes = [stage('evaluate', {'settings': {'seed': seed}}, potential=potential, frames=frames) for seed in (1, 1, 2)]
    intervals = [outcome.report['errors']['force_interval'] for outcome in outcomes]
    assert intervals[0] == intervals[1] != intervals[2]


def test_calibration_is_of_these_predictions(evaluated: Outcome, training: Frames, potential: Path) -> None:
    arrays, found = evaluated.arrays('predictions'), evaluated.report['calibration']
    noise = Posterior.load(potential).noise
    assert found['energy'] == vars(energy_calibration(training, arrays['energy'], arrays['energy_spread'], noise['energy']))
    assert found['force'] == vars(force_calibration(training, arrays['forces'], arrays['force_spread'], noise['force']))
    assert 0.2 < found['force']['rms'] < 1, 'training errors are smaller than those of fresh frames'


def test_trainer_and_lammps_agree(evaluated: Outcome, trained: Outcome) -> None:
    mine, theirs = trained.report, evaluated.report
    findings = training_findings(mine['training_errors'], theirs['errors'], theirs['gamma_max'])
    assert all(finding.passed for finding in findings)


def test_unlabelled_frames_have_no_errors(stage: Stage, evaluated: Outcome, potential: Path, generated: Outcome) -> None:
    outcome = stage('evaluate', {}, potential=potential, frames=generated.frames('frames').take([0, 5]))
    assert outcome.report['errors'] is outcome.report['calibration'] is None
    assert outcome.report['force_spread_max'] > 0
    energies = evaluated.arrays('predictions')['energy'][[0, 5]]
    assert outcome.arrays('predictions')['energy'].tolist() == energies.tolist(), 'same frames, same numbers'


def test_translation_permutation_and_unknown_ground(stage: Stage, potential: Path, training: Frames) -> None:
    atoms = training.atoms(len(training) // 2)
    moved = atoms[::-1]
    moved.positions += atoms.cell[0] + [0.1, 0.2, 0.3]
    stretched = atoms.copy()
    stretched.set_cell(atoms.cell * 1.15, scale_atoms=True)
    outcome = stage('evaluate', {}, potential=potential, frames=Frames.from_atoms([a.copy() for a in (atoms, moved, stretched)]))
    arrays = outcome.arrays('predictions')
    assert arrays['energy'][1] == pytest.approx(arrays['energy'][0], abs=INVARIANT)
    n = len(atoms)
    np.testing.assert_allclose(arrays['forces'][n : 2 * n][::-1], arrays['forces'][:n], atol=INVARIANT)
    assert arrays['gamma'][2 * n :].max() > arrays['gamma'][:n].max(), 'a strain beyond the training set extrapolates'
    assert outcome.report['gamma_max'] == arrays['gamma'].max()


class TestSpread:
    def test_it_can_be_left_out(self, stage: Stage, potential: Path, training: Frames) -> None:
        outcome = stage('evaluate', {'settings': {'spread': False}}, potential=potential, frames=training.take([0]))
        assert set(outcome.arrays('predictions')) == {'energy', 'forces', 'stress', 'gamma'}
        assert outcome.report['force_spread_max'] is outcome.report['calibration'] is None

    def test_a_potential_without_posterior_has_none(
        self, stage: Stage, potential: Path, training: Frames, tmp_path: Path
    ) -> None:
        bare = shutil.copytree(potential, tmp_path / 'bare')
        (bare / POSTERIOR).unlink()
        outcome = stage('evaluate', {}, potential=bare, frames=training.take([0]))
        assert set(outcome.arrays('predictions')) == {'energy', 'forces', 'stress', 'gamma'}

    def test_a_broken_posterior_is_told(self, stage: Stage, potential: Path, training: Frames, tmp_path: Path) -> None:
        broken = shutil.copytree(potential, tmp_path / 'broken')
        (broken / POSTERIOR).write_bytes(b'nothing')
        error = stage('evaluate', {}, potential=broken, frames=training.take([0])).error
        assert error['kind'] == 'FormatError'
        assert 'is not a posterior' in error['message']

    def test_it_grows_where_the_potential_was_not_trained(self, stage: Stage, potential: Path, training: Frames) -> None:
        largest = int(np.abs(training.forces).max(axis=1).argmax())
        atoms = training.atoms(int(np.searchsorted(training.offsets, largest, side='right')) - 1)
        stretched = atoms.copy()
        stretched.set_cell(atoms.cell * 1.15, scale_atoms=True)
        outcome = stage('evaluate', {}, potential=potential, frames=Frames.from_atoms([atoms.copy(), stretched]))
        arrays, n = outcome.arrays('predictions'), len(atoms)
        assert arrays['force_spread'][n:].mean() > 2 * arrays['force_spread'][:n].mean()
        assert arrays['energy_spread'][1] > arrays['energy_spread'][0]

    def test_a_posterior_of_another_potential(self, stage: Stage, potential: Path, training: Frames, tmp_path: Path) -> None:
        foreign = shutil.copytree(potential, tmp_path / 'foreign')
        Posterior(np.eye(7), {'energy': 0.1, 'force': 0.1}).save(foreign)
        error = stage('evaluate', {}, potential=foreign, frames=training.take([0])).error
        assert error == {'kind': 'InputError', 'message': 'the posterior is of 7 coefficients, the rows need 122'}

    @pytest.mark.parametrize(
        ('settings', 'message'),
        [
            ({'spred': True}, 'spred: unknown key; allowed here: spread, seed'),
            ({'seed': -1}, 'seed: got -1; must be a whole number from 0'),
            ({'seed': True}, 'seed: got True; must be a whole number from 0'),
            ({'spread': 1}, 'spread: got 1; must be true or false'),
        ],
    )
    def test_settings_with_a_mistake(
        self, stage: Stage, potential: Path, training: Frames, settings: dict[str, object], message: str
    ) -> None:
        error = stage('evaluate', {'settings': settings}, potential=potential, frames=training.take([0])).error
        assert error == {'kind': 'InputError', 'message': message}


class TestRefused:
    def test_missing_frames(self, stage: Stage, potential: Path) -> None:
        error = stage('evaluate', {}, potential=potential).error
        assert error == {'kind': 'InputError', 'message': 'frames.npz: the frames of the input frames are missing'}

    def test_missing_potential(self, stage: Stage, training: Frames) -> None:
        error = stage('evaluate', {}, frames=training.take([0])).error
        assert error['message'] == 'potential/potential.json: the record of the potential is missing'

    def test_unknown_element(self, stage: Stage, potential: Path) -> None:
        frames = Frames.from_atoms([bulk('Cu', cubic=True), bulk('Ag', cubic=True)])
        error = stage('evaluate', {}, potential=potential, frames=frames).error
        assert error['kind'] == 'InputError'
        assert error['message'].startswith('frame 1: ')
        assert 'Ag' in error['message']
