"""Where LAMMPS gets the forces of a potential from, and the extrapolation grade of each atom: one entry for each engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from ase import Atoms

from aiida_mlip_autopipe.common.engines import PACE, PACE_GRADE_STYLE, POD
from aiida_mlip_autopipe.common.errors import EngineError, InputError, InstallationError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.common.pod import GRADE_COMPUTE
from aiida_mlip_autopipe.science.ace.external import CallbackForces, evaluator_of
from aiida_mlip_autopipe.science.ace.library import pyace_module
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential, LammpsSystem, kinds_of
from aiida_mlip_autopipe.science.pair_styles import missing_style, missing_styles, pair_styles, require_pair_styles
from aiida_mlip_autopipe.science.pod.guards import require_neighbours
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

TAKES_LONELY_ATOMS: Final = frozenset({PACE})
"""Engines that an atom without neighbours does not trouble; POD, and whatever is not known here, is taken to crash."""

PACE_STYLES: Final = ('pace', PACE_GRADE_STYLE)
PLAIN_LINES: Final = 2
"""Lines of an ACE potential with nothing beside it: `pair_style` and `pair_coeff`."""

GRADE_FIX: Final = 'gam'
"""Identifier of the `fix pair` that holds the grade of each atom."""

GRADE_FIX_LINE: Final = f'fix {GRADE_FIX} all pair {{}} {PACE_GRADE_STYLE} gamma 1'


class ForceSource(Protocol):
    """A potential in one LAMMPS instance."""

    def attach(self, kinds: IntArray) -> None:
        """Let the structure that LAMMPS holds feel the potential.

        :param kinds: position of each atom's element among those of the potential, as `LammpsSystem.load` returns it.
        """

    def grade(self) -> FloatArray:
        """Return the extrapolation grade of each atom at the present step, in the order of the structure, shape (n_atoms,)."""


Maker = Callable[[LammpsSystem, LammpsPotential, int], ForceSource]
"""From the instance, the potential and the number of steps between two grades, 0 for none."""


def force_source(system: LammpsSystem, potential: LammpsPotential, *, grade_every: int) -> ForceSource:
    """Return what attaches the potential to the structures of a LAMMPS instance.

    :param grade_every: steps between two looks at the grade; 0 for none, which some engines run faster.
    :raises InputError: a grade is asked of a potential that has none.
    :raises EngineError: a grade is asked of an engine without an entry.
    :raises InstallationError: LAMMPS lacks what the potential needs.
    """
    if not grade_every and potential.engine not in SOURCES:
        return PairForces(system, potential.pair_lines)
    _require_source(potential.engine)
    if grade_every and not potential.has_grade:
        raise InputError('the grade needs a potential with an active set and with the lines that the grade comes from')
    return SOURCES[potential.engine](system, potential, grade_every)


def require_runnable(atoms: Atoms, potential: LammpsPotential, name: str) -> None:
    """Check that a potential can run a structure.

    :param name: of the structure, for the message.
    :raises InputError: not periodic, an unknown element, or an atom without neighbours where that would be the engine's end.
    """
    try:
        kinds_of(atoms, potential.elements)
    except InputError as error:
        raise InputError(f'{name}: {error}') from error
    if potential.engine not in TAKES_LONELY_ATOMS:
        require_neighbours(atoms, potential.cutoff, name)


def require_engine(engine: str) -> None:
    """Check that what is installed here can run the potentials of an engine, with and without the grade.

    :raises EngineError: nothing is known of the engine.
    :raises InstallationError: it cannot; the text says what is missing and how to get it.
    """
    _require_source(engine)
    styles = PACE_STYLES if engine == PACE else (engine,)
    with LammpsSystem(('H',), package=None) as system:
        missing = missing_styles([f'pair_style {style}' for style in styles], system.lammps)
    if missing and engine == PACE:
        _require_pyace(missing[0])
    elif missing:
        raise InstallationError(missing_style(missing[0]))


def _require_source(engine: str) -> None:
    if engine not in SOURCES:
        raise EngineError(f'engine: got {engine!r}; how LAMMPS gives its grade is known of {", ".join(SOURCES)}')


class PairForces:
    """A pair style of LAMMPS, which gives no grade.

    :param lines: LAMMPS lines that load the potential.
    :raises InstallationError: LAMMPS has not its pair style.
    """

    def __init__(self, system: LammpsSystem, lines: Sequence[str]) -> None:
        require_pair_styles(lines, system.lammps)
        self.system, self.lines = system, tuple(lines)

    def attach(self, kinds: IntArray) -> None:
        """Load the potential."""
        for line in self.lines:
            self.system.command(line)

    def grade(self) -> FloatArray:
        """Refuse.

        :raises InputError: always.
        """
        raise InputError('the potential was loaded without its grade')


class PodForces(PairForces):
    """POD: descriptors from a compute of LAMMPS, and the grade from them in Python."""

    def __init__(self, system: LammpsSystem, potential: LammpsPotential) -> None:
        super().__init__(system, [*potential.pair_lines, *potential.grade_lines])
        if potential.active_set is None:
            raise InputError('the grade of a POD potential needs its active set')
        self._active = ActiveSet.load(potential.active_set)

    def attach(self, kinds: IntArray) -> None:
        """Load the potential and remember the kinds."""
        super().attach(kinds)
        self._kinds = kinds

    def grade(self) -> FloatArray:
        """Return the grade of each atom."""
        return self._active.grade(self.system.atom_compute(GRADE_COMPUTE), self._kinds)


class PaceForces(PairForces):
    """ACE in LAMMPS's own `pace/extrapolation`, whose lines take the place of those of the fast form.

    :param every: steps between two grades; in between the pair style leaves them out.
    """

    def __init__(self, system: LammpsSystem, potential: LammpsPotential, every: int) -> None:
        super().__init__(system, potential.grade_lines)
        self._every = every

    def attach(self, kinds: IntArray) -> None:
        """Load the potential and the grade."""
        super().attach(kinds)
        self.system.command(GRADE_FIX_LINE.format(self._every))

    def grade(self) -> FloatArray:
        """Return the grade of each atom; at another step than those of the fix, after a relaxation, it is computed for itself."""
        if int(self.system.lammps.extract_global('ntimestep')) % self._every:
            self.system.command(GRADE_FIX_LINE.format(1))
            self.system.command('run 0 post no')
        return self.system.atom_fix(GRADE_FIX)


def _pod(system: LammpsSystem, potential: LammpsPotential, every: int) -> ForceSource:
    return PodForces(system, potential) if every else PairForces(system, potential.pair_lines)


def _pace(system: LammpsSystem, potential: LammpsPotential, every: int) -> ForceSource:
    lines = potential.grade_lines if every else potential.pair_lines
    missing = missing_styles(lines, system.lammps)
    if not missing:
        return PaceForces(system, potential, every) if every else PairForces(system, lines)
    if not set(pair_styles(lines)) <= set(PACE_STYLES) or len(lines) != PLAIN_LINES:
        raise InstallationError(missing_style(missing[0]))
    _require_pyace(missing[0])
    return CallbackForces(system, evaluator_of(lines, potential.elements), every)


def _require_pyace(missing: str) -> None:
    try:
        pyace_module()
    except InstallationError as error:
        raise InstallationError(f'{missing_style(missing)}; pyace can take its place, but {error}') from error


SOURCES: Final[Mapping[str, Maker]] = MappingProxyType({POD: _pod, PACE: _pace})
"""By the name of the engine in the record of a potential."""
