"""Data sets of Pacemaker, `df.pckl.gzip`: pickles that any pandas and NumPy of the last years can read."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames

PROTOCOL: Final = 4
"""Pickle protocol that Pacemaker itself uses."""

LOWEST, HIGHEST = -20.0, 250.0
"""eV/atom; outside Pacemaker replaces the reference energies by its own, without asking."""


@dataclass(frozen=True)
class _Call:
    """Pickled as the call of a public function with plain values, and so without anything of our versions' insides.

    A frame that pandas 3 pickles itself cannot be read by pandas 2.0 (`issubclass() arg 1 must be a class`), and NumPy 2 names
    modules that NumPy 1.24 does not have.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def reference_energies(isolated: Frames, elements: Sequence[str]) -> dict[str, float]:
    """Return the energy of the isolated atom of each element, eV.

    :param isolated: single atoms, labelled at the same level of theory as the frames of the fit.
    :raises InputError: an element has no labelled isolated atom.
    """
    single = [i for i in range(len(isolated)) if isolated.labelled[i] and isolated.counts[i] == 1]
    found = {isolated.symbols(i)[0]: float(isolated.energy[i]) for i in single}
    if missing := [element for element in elements if element not in found]:
        raise InputError(f'references: no labelled isolated atom of {missing}; its energy is the zero of the energy scale')
    return {element: found[element] for element in elements}


def one_fingerprint(*parts: Frames) -> str:
    """Return the level of theory that all labels share.

    :raises InputError: there are several.
    """
    found = sorted({text for part in parts for text in part.fingerprint.tolist()})
    if len(found) != 1:
        raise InputError(f'labels of {len(found)} levels of theory are never mixed in one fit: {found}')
    return found[0]


def corrected_energies(frames: Frames, references: Mapping[str, float]) -> FloatArray:
    """Return the total energies minus those of the isolated atoms, eV, shape (n_frames,).

    :param references: eV, energy of the isolated atom of each element.
    :raises InputError: an element has no reference.
    """
    missing = sorted(set(frames.elements) - set(references))
    if missing:
        raise InputError(f'no energy of the isolated atom of {missing}; known are {sorted(references)}')
    alone = np.array([sum(references[symbol] for symbol in frames.symbols(index)) for index in range(len(frames))])
    return np.asarray(frames.energy - alone, dtype=np.float64)


def check_frames(frames: Frames, references: Mapping[str, float], name: str = 'frames') -> None:
    """Check what Pacemaker fails at, or takes for something else without a word.

    :param name: of the frames, for the message.
    :raises InputError: no frames, a frame without label, mixed periodicity, or an energy per atom that Pacemaker would shift.
    """
    if not len(frames):
        raise InputError(f'{name}: holds no structure')
    if not frames.labelled.all():
        raise InputError(f'{name}: {int((~frames.labelled).sum())} of {len(frames)} frames are not labelled')
    periodic = frames.pbc.sum(axis=1)
    if (mixed := np.flatnonzero((periodic > 0) & (periodic < 3))).size:
        pbc = frames.pbc[mixed[0]].tolist()
        raise InputError(f'{name}: frame {mixed[0]} has pbc {pbc}; Pacemaker takes only all periodic or not periodic')
    per_atom = corrected_energies(frames, references) / frames.counts
    if (extreme := np.flatnonzero((per_atom < LOWEST) | (per_atom > HIGHEST))).size:
        raise InputError(
            f'{name}: frame {extreme[0]} has {per_atom[extreme[0]]:.6g} eV/atom above its isolated atoms; outside '
            f'{LOWEST:g} to {HIGHEST:g} eV/atom Pacemaker would replace the reference energies without asking'
        )


def force_factors(frames: Frames, kappa_f: float | Mapping[str, float]) -> FloatArray:
    """Return the factor of the force weights of each frame, shape (n_frames,).

    :param kappa_f: one factor for all, or one for each config_type; a type that is not named has 1.
    :raises InputError: a config_type is named that no frame has.
    """
    if not isinstance(kappa_f, Mapping):
        return np.full(len(frames), float(kappa_f))
    present = set(frames.config_type.tolist())
    if unknown := sorted(set(kappa_f) - present):
        raise InputError(f'kappa_f: names the config_type {unknown[0]!r}, which no frame has; present are {sorted(present)}')
    return np.array([float(kappa_f.get(kind, 1.0)) for kind in frames.config_type.tolist()])


def dataset(frames: Frames, references: Mapping[str, float], factors: FloatArray | None) -> bytes:
    """Return the bytes of a data set.

    Columns: `ase_atoms`; `energy_corrected`, eV of the cell above its isolated atoms; `forces`, eV/Å, shape (n_atoms, 3);
    `name`, the uid; and with `factors` also `w_energy` and `w_forces`, shape (n_atoms,): with these two Pacemaker applies no
    weights of its own and divides each by its sum, so that factors 1 are its uniform weights. There is no column `energy`:
    with one, Pacemaker would replace references that it dislikes.

    :param references: eV, energy of the isolated atom of each element.
    :param factors: of the force weights of each frame, shape (n_frames,); None leaves the weights to Pacemaker.
    """
    columns: dict[str, Any] = {
        'ase_atoms': _objects([_atoms(frames, index) for index in range(len(frames))]),
        'energy_corrected': _numbers(corrected_energies(frames, references)),
        'forces': _objects([_array(frames.forces[frames.rows(index)]) for index in range(len(frames))]),
        'name': _objects([str(uid) for uid in frames.uid]),
    }
    if factors is not None:
        columns['w_energy'] = _numbers(np.ones(len(frames)))
        counts = frames.counts
        columns['w_forces'] = _objects([_array(np.full(counts[index], factors[index])) for index in range(len(frames))])
    names = _Call(pd.Index, (list(columns), 'object'))
    table = _Call(pd.DataFrame, (columns, None, names))
    return gzip.compress(pickle.dumps(table, protocol=PROTOCOL), mtime=0)  # no time stamp: same frames, same bytes


def _objects(values: list[Any]) -> _Call:
    return _Call(pd.Series, (values, None, 'object'))


def _numbers(values: FloatArray) -> _Call:
    return _Call(pd.Series, (values.tolist(), None, 'float64'))


def _array(values: FloatArray) -> _Call:
    return _Call(np.array, (values.tolist(), 'float64'))


def _atoms(frames: Frames, index: int) -> _Call:
    """Return the frame as a call of ASE's constructor with its arguments in their places, the cell (Å) being the tenth."""
    positions = frames.positions[frames.rows(index)].tolist()
    cell, pbc = frames.cells[index].tolist(), frames.pbc[index].tolist()
    return _Call(Atoms, (frames.symbols(index), positions, None, None, None, None, None, None, None, cell, pbc))
