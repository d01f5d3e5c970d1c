"""Pacemaker's own predictions on its training set, read without trusting the pickle they come in."""

from __future__ import annotations

import gzip
import io
import pickle
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import Frames, IntArray
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions

PREDICTIONS: Final = 'train_pred.pckl.gzip'

ALLOWED: Final = {
    'builtins': {'slice'},
    'collections': {'Counter'},  # composition of each structure, beside energy-based weights
    'numpy': {'dtype', 'ndarray'},
    'numpy.core.multiarray': {'_reconstruct', 'scalar'},
    'numpy._core.multiarray': {'_reconstruct', 'scalar'},
    'numpy.core.numeric': {'_frombuffer'},
    'numpy._core.numeric': {'_frombuffer'},
    'pandas': {'DataFrame', 'Index', 'RangeIndex'},
    'pandas._libs.internals': {'_unpickle_block'},
    'pandas.core.frame': {'DataFrame'},
    'pandas.core.indexes.base': {'Index', '_new_Index'},
    'pandas.core.indexes.numeric': {'Int64Index'},
    'pandas.core.indexes.range': {'RangeIndex'},
    'pandas.core.internals.managers': {'BlockManager'},
}
"""What a pickled table of numbers and texts needs; a pickle can name any function, and would have it called."""


class _TableReader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what the pickle names, when a table needs it."""
        if name not in ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f'{module}.{name} does not belong into a table of predictions')
        return super().find_class(module, name)


def read_predictions(
    content: bytes, frames: Frames, references: Mapping[str, float], chosen: IntArray
) -> TrainerPredictions | None:
    """Return Pacemaker's predictions for some training frames, or None when it did not fit one of them.

    Rows are matched by name, which is the uid that we gave them: energy-based weights change the order.

    :param content: bytes of the file.
    :param references: eV, energies of the isolated atoms, which are added again.
    :param chosen: rows of the frames, shape (n_chosen,).
    :raises FormatError: the file is no such table.
    """
    try:
        table = _TableReader(io.BytesIO(gzip.decompress(content))).load()
        rows = {str(name): row for row, name in enumerate(table['name'])}
        energies, forces = list(table['energy_pred']), list(table['forces_pred'])
    except (OSError, EOFError, zlib.error, pickle.UnpicklingError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise FormatError(f'{PREDICTIONS}: not a table of predictions: {error}') from error
    names = [str(frames.uid[index]) for index in chosen]
    if not set(names) <= set(rows):
        return None
    found = [rows[name] for name in names]
    alone = [sum(references[symbol] for symbol in frames.symbols(int(index))) for index in chosen]
    return TrainerPredictions(
        frames=chosen,
        energy=np.array([float(energies[row]) for row in found]) + np.array(alone),
        forces=np.concatenate([np.asarray(forces[row], dtype=np.float64) for row in found]),
    )
