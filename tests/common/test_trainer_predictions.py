import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.trainer_predictions import TRAINER_PREDICTIONS, TrainerPredictions, spread_indices


def predictions(n_frames=2, n_atoms=5):
    rng = np.random.default_rng(0)
    return TrainerPredictions(np.arange(n_frames), rng.normal(size=n_frames), rng.normal(size=(n_atoms, 3)))


def test_what_was_saved_comes_back(tmp_path):
    sent = predictions()
    sent.save(tmp_path)
    back = TrainerPredictions.load(tmp_path)
    for name, column in vars(sent).items():
        np.testing.assert_array_equal(getattr(back, name), column)


def test_a_trainer_may_write_none(tmp_path):
    assert TrainerPredictions.load(tmp_path) is None


@pytest.mark.parametrize('content', [b'', b'nothing', b'PK\x03\x04broken'])
def test_a_broken_file(tmp_path, content):
    (tmp_path / TRAINER_PREDICTIONS).write_bytes(content)
    with pytest.raises(FormatError, match=r'trainer_predictions\.npz cannot be read'):
        TrainerPredictions.load(tmp_path)


def test_a_column_is_missing(tmp_path):
    np.savez(tmp_path / TRAINER_PREDICTIONS, frames=np.arange(2), energy=np.zeros(2))
    with pytest.raises(FormatError, match='forces'):
        TrainerPredictions.load(tmp_path)


@pytest.mark.parametrize('changed', [{'energy': np.zeros(3)}, {'forces': np.zeros(6)}, {'forces': np.zeros((5, 2))}])
def test_columns_that_do_not_fit(tmp_path, changed):
    np.savez(tmp_path / TRAINER_PREDICTIONS, **{**vars(predictions()), **changed})
    with pytest.raises(FormatError, match='do not fit'):
        TrainerPredictions.load(tmp_path)


@pytest.mark.parametrize(
    ('n_frames', 'count', 'expected'),
    [(1, 20, [0]), (3, 20, [0, 1, 2]), (101, 3, [0, 50, 100]), (40, 1, [0]), (10, 4, [0, 3, 6, 9])],
)
def test_frames_are_spread_over_the_set(n_frames, count, expected):
    assert spread_indices(n_frames, count).tolist() == expected
