"""`PACE`: potentials of the atomic cluster expansion, by LAMMPS's ML-PACE where there is one and by pyace elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError, InstallationError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.engines.ace.calculator import ShiftedAce
from aiida_mlip_autopipe.engines.ace.evaluator import AceEvaluator
from aiida_mlip_autopipe.engines.ace.external import CallbackForces, evaluator_of
from aiida_mlip_autopipe.engines.ace.files import GRADE_STYLE, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.library import pyace_module
from aiida_mlip_autopipe.engines.ace.rows import AceRows
from aiida_mlip_autopipe.engines.lammps.engine import Engine, ForceSource
from aiida_mlip_autopipe.engines.lammps.forces import PairForces, lacking_style
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem, kinds_of
from aiida_mlip_autopipe.engines.lammps.pair_styles import missing_style, missing_styles, pair_styles
from aiida_mlip_autopipe.science.linear.rows import RowSource

STYLES: Final = ('pace', GRADE_STYLE)
PLAIN_LINES: Final = 2
"""Lines of an ACE potential with nothing beside it: `pair_style` and `pair_coeff`."""

GRADE_FIX: Final = 'gam'
"""Identifier of the `fix pair` that holds the grade of each atom."""

GRADE_FIX_LINE: Final = f'fix {GRADE_FIX} all pair {{}} {GRADE_STYLE} gamma 1'


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


def _forces(system: LammpsSystem, potential: LammpsPotential, every: int) -> ForceSource:
    lines = potential.grade_lines if every else potential.pair_lines
    missing = missing_styles(lines, system.lammps)
    if not missing:
        return PaceForces(system, potential, every) if every else PairForces(system, lines)
    if not set(pair_styles(lines)) <= set(STYLES) or len(lines) != PLAIN_LINES:
        raise InstallationError(missing_style(missing[0]))
    _require_pyace(missing_style(missing[0]))
    return CallbackForces(system, evaluator_of(lines, potential.elements), every)


def _require() -> None:
    if lacking := lacking_style(STYLES):
        _require_pyace(lacking)


def _require_pyace(lacking: str) -> None:
    try:
        pyace_module()
    except InstallationError as error:
        raise InstallationError(f'{lacking}; pyace can take its place, but {error}') from error


def _atom_rows(frames: Frames, potential: LammpsPotential, folder: Path) -> FloatArray:
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


def _design_rows(potential: LammpsPotential, folder: Path, n_coefficients: int) -> AbstractContextManager[RowSource]:
    plain = AceRows.of_file(folder / POTENTIAL_YAML, potential.elements)
    if n_coefficients == plain.n_functions:
        return nullcontext(plain)
    with_energies = AceRows.of_file(folder / POTENTIAL_YAML, potential.elements, with_one_body=True)
    if n_coefficients != len(with_energies.one_body) + plain.n_functions:
        raise InputError(f'the posterior is of {n_coefficients} coefficients, the potential has {plain.n_functions} functions')
    return nullcontext(with_energies)


PACE: Final = Engine(
    forces=_forces,
    require=_require,
    atom_rows=_atom_rows,
    design_rows=_design_rows,
    takes_lonely_atoms=True,
    calculator=ShiftedAce,
)
