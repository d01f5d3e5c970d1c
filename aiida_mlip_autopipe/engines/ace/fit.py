"""A linear ACE potential from labelled frames: basis and ridge of greatest evidence, ZBL core, active set, posterior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.engines.ace.basis import SIZES, add_core, basis_configuration, least_functions
from aiida_mlip_autopipe.engines.ace.core import shortest_distances
from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET
from aiida_mlip_autopipe.engines.ace.rows import AceRows
from aiida_mlip_autopipe.engines.lammps.library import kinds_of
from aiida_mlip_autopipe.science.linear.fit import Gathered, predictions_of
from aiida_mlip_autopipe.science.linear.guards import require_trainable
from aiida_mlip_autopipe.science.linear.search import FitReport, Watch, search
from aiida_mlip_autopipe.science.linear.settings import LinearSettings, base_energies
from aiida_mlip_autopipe.science.uncertainty.active_set import ElementSet, element_set

AUTO: Final = 'auto'
"""The number of functions of greatest evidence."""

EPSILON: Final = 1e-2
"""Length of the artificial rows of the active set; shorter ones make much of what is too small to matter.

With 160 functions and 38 Cu-Au frames of the loop of docs/train.md, 1e-4 ranked the force errors of 4,421 unseen atoms worse than
1e-2 does (area under the ROC curve, errors above 0.1 eV/Å: 0.77, 0.86); with 25 frames of 32 atoms 0.93, 0.97.
"""

SMALLEST_AUTO: Final = 40
"""Functions per element with which `auto` begins: 20 were too few for any material tried."""

LEAST_FUNCTIONS: Final = 10

CUTOFFS: Final = (2.0, 12.0)
"""Å, smallest and largest cutoff."""


@dataclass(frozen=True, kw_only=True)
class AceSettings(LinearSettings):
    """What a fit needs besides the frames.

    :param functions: per element; auto: the number of :data:`~science.ace.basis.SIZES` of greatest evidence.
    :raises InputError: a value out of its range.
    """

    functions: int | str = AUTO
    free_one_body: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        super().__post_init__()
        if isinstance(self.functions, str) and self.functions != AUTO:
            raise InputError(f'functions is {self.functions!r}, expected a number or {AUTO}')
        if isinstance(self.functions, int) and self.functions < LEAST_FUNCTIONS:
            raise InputError(f'functions is {self.functions}, expected at least {LEAST_FUNCTIONS}')
        if not CUTOFFS[0] <= self.cutoff <= CUTOFFS[1]:
            raise InputError(f'cutoff is {self.cutoff} Å, expected {CUTOFFS[0]} to {CUTOFFS[1]} Å')


@dataclass(frozen=True, eq=False)
class AceFit:
    """A fitted potential, whose files lie in the folder that was given.

    :param coefficients: eV, of the functions, in pyace's order, shape (n_coefficients,).
    :param report: what the fit says of itself; its size is the number of functions per element that was asked for.
    :param functions: of each element.
    :param energy_shift: eV for each atom of an element, which the files do not hold.
    :param shortest: Å, shortest distance in the training set of each pair of elements, such as `Al-Mg`.
    :param gamma_train_max: largest extrapolation grade of a training atom.
    :param active_atoms: number of training atoms in the active set, by element.
    :param seconds: wall-clock time by phase: rows, solve, active_set.
    """

    coefficients: FloatArray
    report: FitReport
    functions: dict[str, int]
    energy_shift: dict[str, float]
    shortest: dict[str, float]
    gamma_train_max: float
    active_atoms: dict[str, int]
    seconds: dict[str, float]


def fit_ace(frames: Frames, references: Mapping[str, float], settings: AceSettings, folder: Path) -> AceFit:
    """Return a linear ACE potential, with its B-basis, its fast form, its active set and `posterior.npz` in `folder`.

    The predictions of the fit itself are written beside it for some training frames. Energies are relative to the isolated
    atoms, of which ACE itself gives 0, or, where there are none, to an energy of each element that is fitted. Same input, same
    coefficients.

    :param frames: labelled frames, without isolated atoms.
    :param references: eV, energy of the isolated atom of each element; none at all: their energies are fitted.
    :raises FitError: frames without labels, an element without training atoms, or a fit that makes no sense.
    :raises InputError: frames that are not periodic, or settings that contradict the frames.
    :raises InstallationError: pyace is missing.
    """
    require_trainable(frames, references, settings.elements)
    for index, atoms in enumerate(frames):
        _require_known(atoms, settings.elements, index)
    distances = shortest_distances(frames, settings.elements, settings.cutoff)
    is_free = settings.free_one_body or not references
    base = base_energies(frames, references, settings.elements, is_free=is_free)
    watch = Watch()
    sources: dict[str, AceRows] = {}

    def opened(size: str) -> AbstractContextManager[AceRows]:
        configuration = basis_configuration(settings.elements, int(size), settings.cutoff)
        if settings.core:
            add_core(configuration, distances)
        sources[size] = AceRows(configuration, settings.elements, with_one_body=is_free)
        return nullcontext(sources[size])

    found = search(frames, base, settings, [str(size) for size in sizes_to_try(settings)], opened, watch)
    source, rows = sources[found.report.size], found.rows
    coefficients = found.fit.coefficients[: source.n_functions]
    source.save(coefficients, folder)
    sets = _active_sets(rows, len(settings.elements))
    save_active_set(sets, settings.elements, folder)
    watch.stop('active_set')
    predictions_of(rows, found.fit.coefficients, base).save(folder)
    found.fit.posterior().save(folder)
    own = base + (found.fit.coefficients[rows.one_body] if is_free else 0.0)
    return AceFit(
        coefficients=coefficients,
        report=found.report,
        functions=dict.fromkeys(settings.elements, source.per_element),
        energy_shift=dict(zip(settings.elements, own.tolist(), strict=True)),
        shortest={'-'.join(pair): distance for pair, distance in distances.items()},
        gamma_train_max=max(_largest_grade(rows, element, kind) for kind, element in sets.items()),
        active_atoms={element: len(sets[kind].atoms) for kind, element in enumerate(settings.elements)},
        seconds=watch.seconds,
    )


def sizes_to_try(settings: AceSettings) -> list[int]:
    """Return the number of functions of the settings, or for `auto` those that the evidence decides between, rising."""
    if settings.functions != AUTO:
        return [int(settings.functions)]
    least = max(SMALLEST_AUTO, least_functions(len(settings.elements)))
    return [size for size in SIZES if size >= least] or [max(SIZES)]


def save_active_set(sets: Mapping[int, ElementSet], elements: Sequence[str], folder: Path) -> None:
    """Write the inverse of the active set of each element, as pyace and `pace/extrapolation` read it.

    They take the matrices by their places, the elements sorted by name, and the numbers row by row.
    """
    order = sorted(sets, key=lambda kind: elements[kind])
    matrices = {elements[kind]: np.ascontiguousarray(sets[kind].projection) for kind in order}
    with (folder / ACTIVE_SET).open('wb') as handle:
        np.savez(handle, **matrices)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`


def _active_sets(rows: Gathered, n_elements: int) -> dict[int, ElementSet]:
    """Return the active set of each element, by its position.

    Fewer atoms than functions are no trouble: rows of small weight stand for the directions that no atom shows.
    """
    places = {kind: np.flatnonzero(rows.types == kind) for kind in range(n_elements)}
    return {kind: element_set(rows.descriptors[own], own, epsilon=EPSILON) for kind, own in places.items()}


def _largest_grade(rows: Gathered, element: ElementSet, kind: int) -> float:
    return float(np.abs(rows.descriptors[rows.types == kind] @ element.projection).max())


def _require_known(atoms: Atoms, elements: Sequence[str], index: int) -> None:
    try:
        kinds_of(atoms, elements)
    except InputError as error:
        raise InputError(f'frame {index}: {error}') from error
