"""`CallbackForces`: ACE in a LAMMPS without ML-PACE, by `fix external` around pyace's evaluator."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.engines.ace.evaluator import AceEvaluator
from aiida_mlip_autopipe.engines.lammps.library import LammpsSystem

FIX: Final = 'ace'
"""Identifier of the `fix external`."""

GHOSTS: Final = 1.0
"""Å beyond the cutoff up to which LAMMPS keeps periodic images; only the shortest bond is taken from them."""


def evaluator_of(lines: Sequence[str], elements: Sequence[str]) -> AceEvaluator:
    """Return the evaluator of the files that the last `pair_coeff` line names, as `pace` and `pace/extrapolation` read it.

    :param elements: of the potential; the line lists them in the order of the LAMMPS types.
    :raises InputError: the line names other files or elements.
    :raises InstallationError: there is no pyace.
    :raises EngineError: pyace refuses a file.
    """
    words = shlex.split(lines[-1])
    files, named = words[3 : len(words) - len(elements)], words[len(words) - len(elements) :]
    if words[:3] != ['pair_coeff', '*', '*'] or not 1 <= len(files) <= 2 or named != list(elements):
        raise InputError(f'got {lines[-1]!r}; expected pair_coeff * *, one or two files, and the elements {" ".join(elements)}')
    return AceEvaluator(Path(files[0]), elements, *(Path(name) for name in files[1:]))


class CallbackForces:
    """The potential of an evaluator in a LAMMPS instance.

    :param every: steps between two grades, 0 for none.
    :raises EngineError: LAMMPS runs on several MPI ranks, each of which would see a part of the atoms.
    """

    def __init__(self, system: LammpsSystem, evaluator: AceEvaluator, every: int) -> None:
        if (n_ranks := system.lammps.extract_setting('world_size')) != 1:
            raise EngineError(f'ACE by pyace runs on one MPI rank, got {n_ranks}; a LAMMPS with ML-PACE runs on any number')
        self._system, self._evaluator, self._every = system, evaluator, every
        self._kinds: IntArray = np.zeros(0, dtype=np.int64)
        self._tags: IntArray = self._kinds

    def attach(self, kinds: IntArray) -> None:
        """Let the structure that LAMMPS holds feel the potential."""
        self._kinds = kinds
        self._evaluator.forget()
        for line in (
            f'comm_modify cutoff {self._evaluator.cutoff + GHOSTS:.16g}',
            f'fix {FIX} all external pf/callback 1 1',
            f'fix_modify {FIX} energy yes virial yes',
        ):
            self._system.command(line)
        self._system.call_back(FIX, self._fill)

    def grade(self) -> FloatArray:
        """Return the grade of each atom at the present step, in the order of the structure."""
        return self._evaluator.grade()[np.argsort(self._tags)]

    def _fill(self, step: int, tags: IntArray, positions: FloatArray, forces: FloatArray) -> None:
        self._tags = tags.copy()
        with_grade = self._every > 0 and step % self._every == 0
        found = self._evaluator.compute(self._system.cell(), positions, self._kinds[tags - 1], with_grade=with_grade)
        forces[:, :] = found.forces
        self._system.lammps.fix_external_set_energy_global(FIX, found.energy)
        self._system.lammps.fix_external_set_virial_global(FIX, found.virial)
