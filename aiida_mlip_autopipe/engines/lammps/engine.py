"""`Engine`: what LAMMPS and the stages have to know of the potentials of one kind. An engine is an entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Protocol, cast

from ase.calculators.calculator import Calculator

from aiida_mlip_autopipe.common.entry_points import OWN, full_name, load_plugin, registered
from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.science.linear.rows import RowSource

GROUP: Final = 'mlip_autopipe.engines'
"""Entry points, found without AiiDA on the compute machine."""


class ForceSource(Protocol):
    """A potential in one LAMMPS instance."""

    def attach(self, kinds: IntArray) -> None:
        """Let the structure that LAMMPS holds feel the potential.

        :param kinds: position of each atom's element among those of the potential, as `LammpsSystem.load` returns it.
        """

    def grade(self) -> FloatArray:
        """Return the extrapolation grade of each atom at the present step, in the order of the structure, shape (n_atoms,)."""


@dataclass(frozen=True)
class Engine:
    """A kind of potential.

    :param forces: from a LAMMPS instance, a potential and the number of steps between two grades, 0 for none.
    :param require: check that what is installed here runs its potentials, with and without the grade; an `InstallationError`
        says what is missing and how to get it.
    :param atom_rows: from frames, a potential and its folder to what the energy of each atom is linear in, shape
        (n_atoms, n_columns), by which the grade is computed.
    :param design_rows: from a potential, its folder and the number of coefficients of its posterior to the rows of a linear fit.
    :param takes_lonely_atoms: whether an atom without neighbours does it no harm.
    :param calculator: from the folder of a potential and its energy shifts (eV) to a calculator of ASE in this process, or None
        where LAMMPS alone runs it.
    """

    forces: Callable[[LammpsSystem, LammpsPotential, int], ForceSource]
    require: Callable[[], None]
    atom_rows: Callable[[Frames, LammpsPotential, Path], FloatArray]
    design_rows: Callable[[LammpsPotential, Path, int], AbstractContextManager[RowSource]]
    takes_lonely_atoms: bool = False
    calculator: Callable[[Path, Mapping[str, float]], Calculator] | None = None


@cache
def engine_of(name: str) -> Engine:
    """Return the engine of a record of a potential.

    :param name: entry point; one of this package without its prefix.
    :raises EngineError: nothing is registered under this name, or it cannot be imported here.
    """
    if not is_known(name):
        known = ', '.join(found.removeprefix(OWN) for found in registered(GROUP))
        raise EngineError(f'engine: got {name!r}; the entry points of {GROUP} are {known}')
    return cast('Engine', load_plugin(GROUP, full_name(name)))


@cache
def is_known(name: str) -> bool:
    """Whether an engine is registered under the name in the record of a potential."""
    return full_name(name) in registered(GROUP)
