"""`AceEvaluator`: energy, forces, virial and grade of one structure that moves, by pyace's C++ evaluator and a Verlet list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.engines.ace.library import pyace_module

SKIN: Final = 0.6
"""Å beyond the cutoff up to which neighbours are listed: more costs at every step, less builds the list more often."""

_REFUSALS: Final = (RuntimeError, ValueError, IndexError, KeyError, OSError)
"""What pyace raises for files that are missing, broken or of another potential."""


@dataclass(frozen=True, eq=False)
class Forces:
    """What acts in a structure.

    :param energy: eV, of the cell; 0 for atoms alone.
    :param forces: eV/Å, shape (n_atoms, 3).
    :param virial: eV, minus the derivative of the energy by the strain, order xx, yy, zz, xy, xz, yz: as LAMMPS has it.
    """

    energy: float
    forces: FloatArray
    virial: list[float]


class AceEvaluator:
    """An ACE potential and, between the calls, the neighbours of the structure of the last one.

    The evaluator skips neighbours beyond its cutoff, so that a list with a skin changes nothing.

    :param potential: `.yaml`, the B-basis, which alone can give the grade; or `.yace`, the fast form.
    :param elements: chemical symbols in the order of the kinds.
    :param active_set: `.asi` of the same fit, or None for no grade.
    :param skin: Å.
    :raises InstallationError: there is no pyace.
    :raises EngineError: pyace refuses a file.
    :raises InputError: an element that the potential does not know.
    """

    def __init__(self, potential: Path, elements: Sequence[str], active_set: Path | None = None, *, skin: float = SKIN) -> None:
        self._pyace = pyace_module()
        self._basis, self._evaluator = self._loaded(potential, active_set)
        # ACECalculator keeps no reference to the evaluator, nor that to the basis: without ours the process ends.
        self._calculator = self._pyace.ACECalculator(self._evaluator)
        known = dict(self._basis.elements_to_index_map)
        if unknown := [element for element in elements if element not in known]:
            raise InputError(f'{potential.name}: knows the elements {sorted(known)}, not {unknown}')
        self._types = np.array([known[element] for element in elements])
        self._has_active_set = active_set is not None
        self.cutoff = float(self._basis.cutoffmax)
        self._neighbours = _Neighbours(self.cutoff, skin)
        self._is_graded = False

    def forget(self) -> None:
        """Forget the structure: the next one is another."""
        self._neighbours = _Neighbours(self.cutoff, self._neighbours.skin)

    def compute(self, cell: FloatArray, positions: FloatArray, kinds: IntArray, *, with_grade: bool = False) -> Forces:
        """Return the forces of a structure; not a number where a position is none, which ends a run and not its process.

        :param cell: Å, rows are lattice vectors, shape (3, 3).
        :param positions: Å, wrapped or not, shape (n_atoms, 3).
        :param kinds: position of each atom's element among the elements, shape (n_atoms,).
        :param with_grade: whether :meth:`grade` will be asked for; it costs about a quarter more.
        """
        if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
            return Forces(np.nan, np.full(positions.shape, np.nan), [np.nan] * 6)
        environment = self._neighbours.environment(cell, positions, self._types[kinds])
        self._calculator.compute(environment, compute_projections=with_grade)
        self._is_graded = with_grade
        calculator = self._calculator
        return Forces(calculator.energy, np.array(calculator.forces), [-value for value in calculator.virial])

    def grade(self) -> FloatArray:
        """Return the extrapolation grade of each atom of the last structure, shape (n_atoms,).

        :raises InputError: there is no active set.
        """
        if not self._has_active_set:
            raise InputError('the grade of an ACE potential needs its active set')
        if not self._is_graded:  # pyace would hand out the grades of an earlier structure
            self._calculator.compute(self._neighbours.listed, compute_projections=True)
            self._is_graded = True
        return np.array(self._calculator.gamma_grade, dtype=np.float64)

    def projections(self, cell: FloatArray, positions: FloatArray, kinds: IntArray) -> list[FloatArray]:
        """Return the basis functions of each atom, by which the grade is computed: as many as its element has.

        :param cell: Å, shape (3, 3).
        :param positions: Å, shape (n_atoms, 3).
        :param kinds: position of each atom's element among the elements, shape (n_atoms,).
        """
        self.compute(cell, positions, kinds, with_grade=True)
        found = [np.array(own, dtype=np.float64) for own in self._calculator.projections[: len(kinds)]]
        self.forget()
        return found

    def _loaded(self, potential: Path, active_set: Path | None) -> tuple[Any, Any]:
        is_fast = potential.suffix == '.yace'
        if is_fast and active_set is not None:
            raise InputError(f'{potential.name}: the fast form gives no grade; the B-basis (.yaml) does')
        try:
            basis = (self._pyace.ACECTildeBasisSet if is_fast else self._pyace.ACEBBasisSet)(str(potential))
            evaluator = (self._pyace.ACECTildeEvaluator if is_fast else self._pyace.ACEBEvaluator)(basis)
            if active_set is not None:
                evaluator.load_active_set(str(active_set))
        except _REFUSALS as error:
            names = f'{potential.name} {active_set.name}' if active_set is not None else potential.name
            raise EngineError(f'pyace refuses {names}: {error}') from error
        return basis, evaluator


class _Neighbours:
    """Verlet list of one structure: built anew only when atoms may have come into the cutoff that it does not hold.

    :param cutoff: Å.
    :param skin: Å.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        self.cutoff, self.skin = cutoff, skin
        self.listed: Any = None
        self._types: IntArray = np.zeros(0, dtype=np.int64)

    def environment(self, cell: FloatArray, positions: FloatArray, types: IntArray) -> Any:
        """Return pyace's environment of all atoms, at the present positions."""
        if self.listed is None or not np.array_equal(types, self._types) or self._is_outrun(cell, positions):
            self._build(cell, positions, types)
        else:
            self.listed.x = (self._places[self._origins] + self._shifts @ cell).tolist()
        return self.listed

    def _is_outrun(self, cell: FloatArray, positions: FloatArray) -> bool:
        """Follow the atoms across the boundaries, and return whether two of them may have come closer by the skin.

        A pair at the distance r comes closer by at most 2 max|u| + |F - 1| r, with the deformation of the cell 1 -> F and the
        displacements u beyond it, from which their mean, a shift of everything, is taken out.
        """
        steps = positions - self._places
        steps -= np.rint(steps @ np.linalg.inv(cell)) @ cell
        self._places += steps
        strain = self._inverse @ (cell - self._cell)
        moved = self._places - self._start - self._start @ strain
        moved -= moved.mean(axis=0)
        closer = 2.0 * np.sqrt((moved * moved).sum(axis=1).max()) + np.linalg.norm(strain, 2) * (self.cutoff + self.skin)
        return bool(closer > self.skin)

    def _build(self, cell: FloatArray, positions: FloatArray, types: IntArray) -> None:
        from pyace.catomicenvironment import build_atomic_env  # noqa: PLC0415  # see `pyace_module`

        self._types, self._cell, self._inverse = types, cell, np.linalg.inv(cell)
        self._start, self._places = positions.copy(), positions.copy()
        self.listed = build_atomic_env(self._places, cell, types, True, self.cutoff + self.skin)
        self._origins = np.array(self.listed.origins)
        self._shifts = np.rint((np.array(self.listed.x) - self._places[self._origins]) @ self._inverse)
