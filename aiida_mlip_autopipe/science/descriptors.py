"""The descriptors of atoms that a potential is made of: what its active set, and so its grade, is computed from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.engines import PACE, POD
from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.common.pace import POTENTIAL_YAML
from aiida_mlip_autopipe.common.pod import PARAMETERS
from aiida_mlip_autopipe.science.ace.evaluator import AceEvaluator
from aiida_mlip_autopipe.science.force_sources import require_runnable
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential, kinds_of
from aiida_mlip_autopipe.science.pod.descriptors import PodDescriptors
from aiida_mlip_autopipe.science.select.d_optimal import AtomRows


def atom_rows(frames: Frames, potential: LammpsPotential, folder: Path) -> AtomRows:
    """Return what the energy of each atom is linear in, in this process; call it by `isolated`.

    :param folder: of the potential.
    :raises InputError: a frame that the potential cannot run.
    :raises EngineError: nothing is known of its engine, or LAMMPS or pyace refuses its files.
    """
    if potential.engine not in _SOURCES:
        raise EngineError(f'engine: got {potential.engine!r}; the descriptors of an atom are known of {", ".join(_SOURCES)}')
    for index, atoms in enumerate(frames):
        require_runnable(atoms, potential, f'frame {index}')
    kinds = [kinds_of(atoms, potential.elements) for atoms in frames]
    rows = _SOURCES[potential.engine](frames, potential, folder)
    return AtomRows(rows, np.concatenate([np.zeros(0, dtype=np.int64), *kinds]), frames.counts)


def _of_pod(frames: Frames, potential: LammpsPotential, folder: Path) -> FloatArray:
    with PodDescriptors(potential.elements, folder / PARAMETERS) as source:
        found = [source.per_atom(atoms)[0] for atoms in frames]
    return np.concatenate([np.column_stack([np.ones(len(own)), own]) for own in found])


def _of_ace(frames: Frames, potential: LammpsPotential, folder: Path) -> FloatArray:
    """Return the functions of each atom, filled up with zeros where elements differ in their number."""
    source = AceEvaluator(folder / POTENTIAL_YAML, potential.elements)
    rows = [
        own
        for atoms in frames
        for own in source.projections(atoms.cell.array, atoms.positions, kinds_of(atoms, potential.elements))
    ]
    filled = np.zeros((len(rows), max(map(len, rows), default=0)))
    for place, own in zip(filled, rows, strict=True):
        place[: len(own)] = own
    return filled


_SOURCES: Final[Mapping[str, Callable[[Frames, LammpsPotential, Path], FloatArray]]] = MappingProxyType(
    {POD: _of_pod, PACE: _of_ace}
)
