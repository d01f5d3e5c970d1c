import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.linear.guards import FORCE_FLOOR, require_sane, require_trainable
from tests.pod_data import ELEMENTS, REFERENCES, alloy, labelled


@pytest.fixture
def frames():
    return Frames.from_atoms([labelled(alloy(np.random.default_rng(0)))])


def test_training_set_needs_frames():
    with pytest.raises(FitError, match='no frame'):
        require_trainable(Frames.from_atoms([]), REFERENCES, ELEMENTS)


def test_training_set_needs_labels(frames):
    mixed = Frames.concatenate([frames, Frames.from_atoms([bulk('Cu')])])
    with pytest.raises(FitError, match='frame 1'):
        require_trainable(mixed, REFERENCES, ELEMENTS)


def test_each_element_needs_training_atoms(frames):
    with pytest.raises(FitError, match='Ag'):
        require_trainable(frames, {**REFERENCES, 'Ag': 0.0}, (*ELEMENTS, 'Ag'))


@pytest.mark.parametrize('references', [{'Cu': 1.0}, {'Cu': 1.0, 'Au': float('nan')}])
def test_each_element_needs_a_finite_reference(frames, references):
    with pytest.raises(InputError, match=r"\['Au'\]"):
        require_trainable(frames, references, ELEMENTS)


def test_no_reference_at_all_is_allowed(frames):
    require_trainable(frames, {}, ELEMENTS)


def test_coefficients_must_be_finite():
    with pytest.raises(FitError, match='coefficient 1'):
        require_sane(np.array([0.0, np.inf]), 0.1, 1.0)


@pytest.mark.parametrize('rmse', [1.5, float('nan')])
def test_forces_worse_than_none_are_refused(rmse):
    with pytest.raises(FitError, match='more than the forces themselves'):
        require_sane(np.zeros(2), rmse, 1.0)


def test_perfect_crystals_without_forces_pass():
    require_sane(np.zeros(2), FORCE_FLOOR, 0.0)
    with pytest.raises(FitError):
        require_sane(np.zeros(2), 1.01 * FORCE_FLOOR, 0.0)
