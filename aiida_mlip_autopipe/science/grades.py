"""How LAMMPS gives the extrapolation grade of each atom: one entry for each engine of potentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from aiida_mlip_autopipe.common.engines import PACE, PACE_GRADE_STYLE, POD
from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.common.pod import GRADE_COMPUTE
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential, LammpsSystem, kinds_of
from aiida_mlip_autopipe.science.pod.guards import require_usable
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

GRADE_FIX: Final = 'gam'
"""Identifier of the `fix pair` that holds the grade of each atom."""

Reader = Callable[[LammpsSystem, IntArray], FloatArray]
"""From the loaded structure, after its energy was computed, and the kinds of its atoms to their grades, shape (n_atoms,)."""

Guard = Callable[[Frames, Sequence[str], float], object]
"""Raises `InputError` for frames on which LAMMPS would crash: frames, elements of the potential and its cutoff (Å)."""


@dataclass(frozen=True)
class GradeSource:
    """What an engine does for energies with grades.

    :param guard: refuses frames that the engine cannot take.
    :param lines: LAMMPS lines that load a potential so that it gives grades.
    :param reader: returns what reads the grades; it loads the active set where Python needs it.
    """

    guard: Guard
    lines: Callable[[LammpsPotential], list[str]]
    reader: Callable[[LammpsPotential], Reader]


def grade_source(engine: str) -> GradeSource:
    """Return the entry of an engine.

    :raises EngineError: there is none.
    """
    if engine not in GRADE_SOURCES:
        raise EngineError(f'engine: got {engine!r}; how LAMMPS gives its grade is known of {", ".join(GRADE_SOURCES)}')
    return GRADE_SOURCES[engine]


def guard_of(engine: str) -> Guard:
    """Return what refuses frames for an engine; the strictest of all for an engine without an entry."""
    return GRADE_SOURCES[engine].guard if engine in GRADE_SOURCES else require_usable


def require_known(frames: Frames, elements: Sequence[str], _: float) -> None:
    """Check that frames are periodic and hold no unknown element; an atom without neighbours is none of ACE's troubles.

    :raises InputError: one is not; the text names it.
    """
    for index, atoms in enumerate(frames):
        try:
            kinds_of(atoms, elements)
        except InputError as error:
            raise InputError(f'frame {index}: {error}') from error


def _pod_lines(potential: LammpsPotential) -> list[str]:
    return [*potential.pair_lines, *potential.grade_lines]


def _pod_reader(potential: LammpsPotential) -> Reader:
    if potential.active_set is None:
        raise InputError('the grade of a POD potential needs its active set')
    active = ActiveSet.load(potential.active_set)
    return lambda system, kinds: active.grade(system.atom_compute(GRADE_COMPUTE), kinds)


def _pace_lines(potential: LammpsPotential) -> list[str]:
    """Return the lines of the pair style with the grade, which take the place of those of the fast one, and the grade itself."""
    return [*potential.grade_lines, f'fix {GRADE_FIX} all pair 1 {PACE_GRADE_STYLE} gamma 1']


def _pace_reader(_: LammpsPotential) -> Reader:
    return lambda system, kinds: system.atom_fix(GRADE_FIX)


GRADE_SOURCES: Final[Mapping[str, GradeSource]] = MappingProxyType(
    {
        POD: GradeSource(require_usable, _pod_lines, _pod_reader),
        PACE: GradeSource(require_known, _pace_lines, _pace_reader),
    }
)
"""By the name of the engine in the record of a potential."""
