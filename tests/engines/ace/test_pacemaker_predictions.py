"""Pacemaker's own predictions: the recorded table, and pickles that are something else."""

from __future__ import annotations

import gzip
import io
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace.pacemaker_predictions import _TableReader, read_predictions
from tests.pacemaker_data import ALONE, FIXTURES, frames

CONTENT = (FIXTURES / 'fit_al' / 'train_pred.pckl.gzip').read_bytes()
ROWS = np.array([0, 7, 59])
RMSE = {'energy': 0.0005339529945622907, 'forces': 0.009496829802907121}


def named() -> Frames:
    """Return the training frames under the names that the recorded table has."""
    return frames().replace(uid=[f'emt-{index:04d}' for index in range(60)])


def test_the_recorded_errors_follow_from_the_predictions() -> None:
    found = read_predictions(CONTENT, named(), ALONE, np.arange(60))
    assert found is not None
    per_atom = (found.energy - named().energy) / named().counts
    assert np.sqrt((per_atom**2).mean()) == pytest.approx(RMSE['energy'], rel=1e-6)
    assert np.sqrt(((found.forces - named().forces) ** 2).mean()) == pytest.approx(RMSE['forces'], rel=1e-6)


def test_some_frames() -> None:
    every = read_predictions(CONTENT, named(), ALONE, np.arange(60))
    found = read_predictions(CONTENT, named(), ALONE, ROWS)
    assert every is not None
    assert found is not None
    assert found.frames.tolist() == ROWS.tolist()
    assert np.array_equal(found.energy, every.energy[ROWS])
    assert np.array_equal(found.forces[32:64], every.forces[7 * 32 : 8 * 32])


def test_rows_are_matched_by_name() -> None:
    order = np.arange(60)[::-1]
    turned = read_predictions(CONTENT, named().take(order), ALONE, np.array([0]))
    straight = read_predictions(CONTENT, named(), ALONE, np.array([59]))
    assert turned is not None
    assert straight is not None
    assert turned.energy == straight.energy


def test_a_frame_that_was_not_fitted() -> None:
    assert read_predictions(CONTENT, frames(), ALONE, ROWS) is None


def test_energy_based_weights_add_the_composition() -> None:
    """Its column holds a `collections.Counter` for each structure."""
    read = _TableReader(io.BytesIO(pickle.dumps([Counter({'Al': 3})], protocol=4))).load()
    assert read == [{'Al': 3}]


def packed(value: Any) -> bytes:
    return gzip.compress(pickle.dumps(value, protocol=4))


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ('1/0',)


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (b'no gzip', 'not a table of predictions'),
        (gzip.compress(b'no pickle'), 'not a table of predictions'),
        (packed(3), 'not a table of predictions'),
        (packed({'name': []}), "'energy_pred'"),
        (packed(Harmful()), r'builtins\.eval does not belong into a table of predictions'),
        (CONTENT[:1000], 'not a table of predictions'),
    ],
    ids=['no gzip', 'no pickle', 'number', 'no column', 'harmful', 'cut off'],
)
def test_what_is_no_table(content: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        read_predictions(content, named(), ALONE, ROWS)


def test_a_table_of_another_pandas() -> None:
    """pandas 3 writes other insides; Pacemaker lives with pandas 2.0."""
    table = pd.DataFrame({'name': ['a'], 'energy_pred': [1.0]})
    with pytest.raises(FormatError):
        read_predictions(packed(table), named(), ALONE, ROWS)
