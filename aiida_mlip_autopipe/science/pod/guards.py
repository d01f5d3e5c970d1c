"""Structures on which POD would crash or fit nonsense, found before LAMMPS sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.science.lammps_library import kinds_of

FORCE_FLOOR: Final = 0.05
"""eV/Å of error that is never called insane, for training sets of perfect crystals without forces."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Neighbours within the cutoff.

    :param counts: number of neighbours of each atom, periodic images included, shape (n_atoms,).
    :param shortest: Å, shortest distance; infinite when there is no neighbour.
    """

    counts: IntArray
    shortest: float


def surroundings(atoms: Atoms, cutoff: float) -> Surroundings:
    """Return the neighbours of a structure within `cutoff` (Å)."""
    centres, distances = neighbor_list('id', atoms, cutoff)
    counts = np.bincount(centres, minlength=len(atoms)).astype(np.int64)
    return Surroundings(counts, float(distances.min()) if len(distances) else np.inf)


def require_neighbours(atoms: Atoms, cutoff: float, name: str) -> float:
    """Return the shortest distance (Å) of a structure on which `pair_style pod` is safe.

    It ends the process for an atom without neighbours (SIGSEGV) and for a cell that holds a lone pair only (SIGABRT).

    :param name: of the structure, for the message.
    :raises InputError: an atom has no neighbour, or no atom has two.
    """
    found = surroundings(atoms, cutoff)
    if not found.counts.all():
        lonely = int(np.argmin(found.counts))
        raise InputError(f'{name} ({atoms.symbols}): atom {lonely} has no neighbour within the cutoff of {cutoff} Å')
    if found.counts.max() < 2:
        raise InputError(f'{name} ({atoms.symbols}): no atom has two neighbours within the cutoff of {cutoff} Å')
    return found.shortest


def require_usable(frames: Frames, elements: Sequence[str], cutoff: float) -> float:
    """Return the shortest distance (Å) in structures that LAMMPS can handle.

    :raises InputError: a frame is not periodic, has an unknown element or has an atom without neighbours.
    """
    shortest = np.inf
    for index, atoms in enumerate(frames):
        try:
            kinds_of(atoms, elements)
        except InputError as error:
            raise InputError(f'frame {index}: {error}') from error
        shortest = min(shortest, require_neighbours(atoms, cutoff, f'frame {index}'))
    return shortest


def require_trainable(frames: Frames, references: Mapping[str, float], elements: Sequence[str]) -> None:
    """Check labels, elements and reference energies of a training set.

    :param references: eV, energy of the isolated atom of each element.
    :raises FitError: no frames, a frame without labels, or an element without training atoms.
    :raises InputError: an element without a finite reference energy.
    """
    if len(frames) == 0:
        raise FitError('the training set holds no frame')
    if not frames.labelled.all():
        raise FitError(f'frame {int(np.argmin(frames.labelled))} of the training set has no energy and forces')
    if unseen := [element for element in elements if element not in frames.elements]:
        raise FitError(f'elements {unseen} do not occur in the training set, which has {frames.elements}')
    if lacking := [element for element in elements if not np.isfinite(references.get(element, np.nan))]:
        raise InputError(f'elements {lacking} have no isolated-atom energy; found {sorted(references)}')


def require_sane(coefficients: FloatArray, force_rmse: float, force_rms: float) -> None:
    """Check the outcome of a fit.

    :param force_rmse: eV/Å, training error.
    :param force_rms: eV/Å, root mean square of the labels.
    :raises FitError: a coefficient is not finite, or the forces are worse than forces of zero.
    """
    if not np.isfinite(coefficients).all():
        raise FitError(f'coefficient {int(np.argmin(np.isfinite(coefficients)))} of the fit is not finite')
    limit = max(force_rms, FORCE_FLOOR)
    if not force_rmse <= limit:
        raise FitError(
            f'the training forces are off by {force_rmse:.3g} eV/Å (rms), more than the forces themselves, {force_rms:.3g} eV/Å'
        )
