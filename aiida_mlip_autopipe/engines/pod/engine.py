"""`POD`: potentials of LAMMPS's proper orthogonal descriptors."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.engines.lammps.engine import Engine, ForceSource
from aiida_mlip_autopipe.engines.lammps.forces import PairForces, require_style
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.engines.pod.descriptors import PodDescriptors
from aiida_mlip_autopipe.engines.pod.files import GRADE_COMPUTE, PARAMETERS
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet


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


def _forces(system: LammpsSystem, potential: LammpsPotential, every: int) -> ForceSource:
    return PodForces(system, potential) if every else PairForces(system, potential.pair_lines)


def _atom_rows(frames: Frames, potential: LammpsPotential, folder: Path) -> FloatArray:
    with PodDescriptors(potential.elements, folder / PARAMETERS) as source:
        found = [source.per_atom(atoms)[0] for atoms in frames]
    return np.concatenate([np.column_stack([np.ones(len(own)), own]) for own in found])


def _design_rows(potential: LammpsPotential, folder: Path, n_coefficients: int) -> PodDescriptors:
    return PodDescriptors(potential.elements, folder / PARAMETERS)


POD: Final = Engine(forces=_forces, require=partial(require_style, 'pod'), atom_rows=_atom_rows, design_rows=_design_rows)
