import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions
from aiida_mlip_autopipe.science.checks.agreement import agreement_findings, compared_frames
from tests import pod_data

LIMITS = (1e-5, 1e-4)


@pytest.fixture(scope='module')
def frames():
    return pod_data.training_frames(6)


@pytest.fixture
def predictions(frames):
    """Return what a trainer that is always right says about three frames."""
    chosen = frames.take([1, 3, 5])
    return TrainerPredictions(np.array([1, 3, 5]), chosen.energy.copy(), chosen.forces.copy())


def found(frames, predictions, energy=0.0, force=0.0):
    compared = compared_frames(frames, predictions)
    energies, forces = compared.energy.copy(), compared.forces.copy()
    energies[2] += energy
    forces[8 + 3, 1] += force  # of the second frame
    return agreement_findings(compared, predictions, energies, forces, limits=LIMITS)


def test_the_frames_of_the_trainer_are_compared(frames, predictions):
    assert compared_frames(frames, predictions).uid.tolist() == frames.uid[[1, 3, 5]].tolist()


def test_agreement(frames, predictions):
    energy, force = found(frames, predictions)
    assert (energy.check, energy.passed, energy.value, energy.limit, energy.unit) == (
        'energy_agreement',
        True,
        0,
        1e-5,
        'eV/atom',
    )
    assert (force.check, force.passed, force.value, force.limit, force.unit) == ('force_agreement', True, 0, 1e-4, 'eV/Å')


def test_the_energy_is_compared_per_atom(frames, predictions):
    energy, force = found(frames, predictions, energy=8e-3)
    assert energy.value == pytest.approx(1e-3)
    assert (energy.passed, force.passed) == (False, True)
    assert energy.message == (
        'energies of LAMMPS and of the trainer differ by up to 0.001 eV/atom on 3 frames (training frame 5); the limit is 1e-05'
    )


def test_the_worst_force_names_its_frame(frames, predictions):
    energy, force = found(frames, predictions, force=-0.5)
    assert (energy.passed, force.passed, force.value) == (True, False, pytest.approx(0.5))
    assert '(training frame 3)' in force.message


@pytest.mark.parametrize('name', ['energy', 'force'])
def test_not_a_number_never_agrees(frames, predictions, name):
    findings = found(frames, predictions, **{name: np.nan})
    assert [finding.passed for finding in findings].count(False) == 1


def test_predictions_of_another_training_set(frames, predictions):
    with pytest.raises(InputError, match='predicted frame 5, the training set holds 4 frames'):
        compared_frames(frames.take([0, 1, 2, 3]), predictions)


def test_predictions_of_other_structures(frames, predictions):
    other = TrainerPredictions(predictions.frames, predictions.energy, predictions.forces[:-1])
    with pytest.raises(InputError, match='forces on 23 atoms of 3 frames, which hold 24'):
        compared_frames(frames, other)
