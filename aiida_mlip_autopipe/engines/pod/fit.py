"""A POD potential from labelled frames: Bayesian least squares on energies, forces and stresses, with its active set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.engines.lammps.forces import require_neighbours
from aiida_mlip_autopipe.engines.lammps.library import kinds_of
from aiida_mlip_autopipe.engines.pod.descriptors import PodDescriptors
from aiida_mlip_autopipe.engines.pod.files import (
    ACTIVE_SET,
    BASIS_SETS,
    COEFFICIENTS,
    INNER_RADIUS,
    PARAMETERS,
    coefficient_text,
    parameter_text,
)
from aiida_mlip_autopipe.science.linear.core import ZblCore
from aiida_mlip_autopipe.science.linear.fit import predictions_of
from aiida_mlip_autopipe.science.linear.guards import require_trainable
from aiida_mlip_autopipe.science.linear.search import FitReport, Watch, search
from aiida_mlip_autopipe.science.linear.settings import LinearSettings, base_energies, compositions
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

AUTO: Final = 'auto'
"""The basis of greatest evidence."""

LARGE_BASIS_ATOMS: Final = 2000
"""Training atoms of the rarest element from which `auto` tries L, whose rows cost minutes, too."""

CORE_OUTER: Final = 0.8
CORE_INNER: Final = 0.6
"""ZBL is switched off between these fractions of the shortest training distance, so it never acts on a training frame."""


@dataclass(frozen=True, kw_only=True)
class PodSettings(LinearSettings):
    """What a fit needs besides the frames.

    :param basis: S, M, L or auto; auto takes the one of greatest evidence, L from 2,000 training atoms of the rarest element on.
    :raises InputError: a value out of its range.
    """

    basis: str = AUTO

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        super().__post_init__()
        if self.basis not in (AUTO, *BASIS_SETS):
            raise InputError(f'basis is {self.basis!r}, expected one of {", ".join((AUTO, *BASIS_SETS))}')
        if not self.cutoff > INNER_RADIUS:
            raise InputError(f'cutoff is {self.cutoff} Å, expected more than {INNER_RADIUS} Å')


@dataclass(frozen=True, eq=False)
class PodFit:
    """A fitted potential, whose files lie in the folder that was given.

    :param coefficients: eV, shape (n_coefficients,).
    :param report: what the fit says of itself; its size is the name of the basis.
    :param cutoff: Å.
    :param shortest: Å, shortest distance in the training set.
    :param core: distances of the ZBL core, or None.
    :param gamma_train_max: largest extrapolation grade of a training atom.
    :param active_atoms: number of training atoms in the active set, by element.
    :param seconds: wall-clock time by phase: rows, solve, active_set.
    """

    coefficients: FloatArray
    report: FitReport
    cutoff: float
    shortest: float
    core: ZblCore | None
    gamma_train_max: float
    active_atoms: dict[str, int]
    seconds: dict[str, float]


def fit_pod(frames: Frames, references: Mapping[str, float], settings: PodSettings, folder: Path) -> PodFit:
    """Return a POD potential, with `param.pod`, `model.pod`, `active_set.npz` and `posterior.npz` in `folder`.

    The predictions of the fit itself, rows times coefficients, are written beside it for some training frames.

    The fit is on energies relative to per-element energies: those of the isolated atoms, and with a free one-body term the
    least-squares fit of the remainder; they return in the one-body coefficients. Same input, same coefficients.

    :param frames: labelled frames, without isolated atoms.
    :param references: eV, energy of the isolated atom of each element; none at all: their energies are fitted.
    :raises FitError: frames without labels, an element without training atoms, or a fit that makes no sense.
    :raises InputError: frames on which POD would crash, or settings that contradict the frames.
    """
    require_trainable(frames, references, settings.elements)
    shortest = shortest_distance(frames, settings.elements, settings.cutoff)
    inner = min(INNER_RADIUS, round(CORE_INNER * shortest, 3))
    core = ZblCore(round(CORE_INNER * shortest, 4), round(CORE_OUTER * shortest, 4)) if settings.core else None
    is_free = settings.free_one_body or not references
    base = base_energies(frames, references, settings.elements, is_free=is_free)
    watch = Watch()

    def opened(basis: str) -> PodDescriptors:
        text = parameter_text(settings.elements, basis, settings.cutoff, inner)
        (folder / PARAMETERS).write_text(text, encoding='utf-8')
        return PodDescriptors(settings.elements, folder / PARAMETERS, is_bound=not is_free, core=core)

    found = search(frames, base, settings, bases_to_try(frames, settings), opened, watch)
    text = parameter_text(settings.elements, found.report.size, settings.cutoff, inner)
    (folder / PARAMETERS).write_text(text, encoding='utf-8')  # the last basis that was tried may be a larger one
    rows, coefficients = found.rows, found.fit.coefficients.copy()
    active = ActiveSet.fit(rows.descriptors, rows.types)
    watch.stop('active_set')
    coefficients[rows.one_body] += base
    (folder / COEFFICIENTS).write_text(coefficient_text(coefficients), encoding='utf-8')
    active.save(folder / ACTIVE_SET)
    predictions_of(rows, found.fit.coefficients, base).save(folder)
    found.fit.posterior().save(folder)
    return PodFit(
        coefficients=coefficients,
        report=found.report,
        cutoff=settings.cutoff,
        shortest=shortest,
        core=core,
        gamma_train_max=float(active.grade(rows.descriptors, rows.types).max()),
        active_atoms={settings.elements[kind]: len(element.atoms) for kind, element in active.elements.items()},
        seconds=watch.seconds,
    )


def bases_to_try(frames: Frames, settings: PodSettings) -> list[str]:
    """Return the basis of the settings, or for `auto` those that the evidence decides between, from small to large."""
    if settings.basis != AUTO:
        return [settings.basis]
    rarest = compositions(frames, settings.elements).sum(axis=0).min()
    return list(BASIS_SETS) if rarest >= LARGE_BASIS_ATOMS else [name for name in BASIS_SETS if name != 'L']


def shortest_distance(frames: Frames, elements: Sequence[str], cutoff: float) -> float:
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
