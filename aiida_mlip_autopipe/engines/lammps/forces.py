"""Where a LAMMPS instance gets the forces of a potential from, and which structures and machines can run it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import InputError, InstallationError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.engines.lammps.engine import ForceSource, engine_of, is_known
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem, kinds_of
from aiida_mlip_autopipe.engines.lammps.pair_styles import missing_style, missing_styles, require_pair_styles


def force_source(system: LammpsSystem, potential: LammpsPotential, *, grade_every: int) -> ForceSource:
    """Return what attaches the potential to the structures of a LAMMPS instance.

    :param grade_every: steps between two looks at the grade; 0 for none, which some engines run faster.
    :raises InputError: a grade is asked of a potential that has none.
    :raises EngineError: a grade is asked of an engine that is not registered.
    :raises InstallationError: LAMMPS lacks what the potential needs.
    """
    if not grade_every and not is_known(potential.engine):
        return PairForces(system, potential.pair_lines)
    engine = engine_of(potential.engine)
    if grade_every and not potential.has_grade:
        raise InputError('the grade needs a potential with an active set and with the lines that the grade comes from')
    return engine.forces(system, potential, grade_every)


def require_runnable(atoms: Atoms, potential: LammpsPotential, name: str) -> None:
    """Check that a potential can run a structure.

    :param name: of the structure, for the message.
    :raises InputError: not periodic, an unknown element, or an atom without neighbours where that may be the engine's end.
    """
    try:
        kinds_of(atoms, potential.elements)
    except InputError as error:
        raise InputError(f'{name}: {error}') from error
    if not is_known(potential.engine) or not engine_of(potential.engine).takes_lonely_atoms:
        require_neighbours(atoms, potential.cutoff, name)


def require_each_runnable(frames: Frames, potential: LammpsPotential) -> None:
    """Check that a potential can run all of some frames.

    :raises InputError: it cannot; the text names the frame.
    """
    for index, atoms in enumerate(frames):
        require_runnable(atoms, potential, f'frame {index}')


def require_neighbours(atoms: Atoms, cutoff: float, name: str) -> float:
    """Return the shortest distance (Å) of a structure in which no atom is alone.

    `pair_style pod` ends the process for an atom without neighbours (SIGSEGV) and for a lone pair in a cell (SIGABRT).

    :param name: of the structure, for the message.
    :raises InputError: an atom has no neighbour, or no atom has two.
    """
    centres, distances = neighbor_list('id', atoms, cutoff)
    counts = np.bincount(centres, minlength=len(atoms))
    if not counts.all():
        lonely = int(np.argmin(counts))
        raise InputError(f'{name} ({atoms.symbols}): atom {lonely} has no neighbour within the cutoff of {cutoff} Å')
    if counts.max() < 2:
        raise InputError(f'{name} ({atoms.symbols}): no atom has two neighbours within the cutoff of {cutoff} Å')
    return float(distances.min())


def lacking_style(styles: Sequence[str]) -> str:
    """Return the sentence on the first of some pair styles that the LAMMPS of this machine lacks, or an empty text."""
    with LammpsSystem(('H',), package=None) as system:
        missing = missing_styles([f'pair_style {style}' for style in styles], system.lammps)
    return missing_style(missing[0]) if missing else ''


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


def require_style(style: str) -> None:
    """Check that the LAMMPS of this machine has a pair style.

    :raises InstallationError: it has not; the text says what is missing and how to get it.
    """
    if lacking := lacking_style([style]):
        raise InstallationError(lacking)
