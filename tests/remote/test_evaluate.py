"""Stage evaluate: predictions, errors where there are labels, and the grade of every atom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.metrics import label_errors
from aiida_mlip_autopipe.science.potential_checks import failed_checks
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
    assert shapes == {'energy': (n_frames,), 'forces': (n_atoms, 3), 'stress': (n_frames, 6), 'gamma': (n_atoms,)}
    assert all(np.isfinite(column).all() for column in arrays.values())


def test_report_is_of_these_predictions(evaluated: Outcome, training: Frames) -> None:
    arrays, report = evaluated.arrays('predictions'), evaluated.report
    expected = label_errors(training, arrays['energy'], arrays['forces'], arrays['stress'])
    assert report == {'n_frames': len(training), 'errors': vars(expected), 'gamma_max': arrays['gamma'].max()}


def test_trainer_and_lammps_agree(evaluated: Outcome, trained: Outcome) -> None:
    mine, theirs = trained.report, evaluated.report
    assert failed_checks(mine['training_errors'], theirs['errors'], theirs['gamma_max']) == []


def test_unlabelled_frames_have_no_errors(stage: Stage, evaluated: Outcome, potential: Path, generated: Outcome) -> None:
    outcome = stage('evaluate', {}, potential=potential, frames=generated.frames('frames').take([0, 5]))
    assert outcome.report['errors'] is None
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
