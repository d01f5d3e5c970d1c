"""What a potential predicts for frames, and how far it extrapolates there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.common.pod import GRADE_COMPUTE
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.science.pod.guards import require_usable
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions for frames, rows as in the columns of the frames.

    :param energy: eV, total energy of the cell, shape (n_frames,).
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, ASE's sign and Voigt order, shape (n_frames, 6).
    :param gamma: extrapolation grade, shape (n_atoms,), or None for a potential without one.
    """

    energy: FloatArray
    forces: FloatArray
    stress: FloatArray
    gamma: FloatArray | None


def evaluate_frames(frames: Frames, potential: LammpsPotential) -> Evaluation:
    """Return the predictions of a potential, in this process; `remote.engine.evaluate` does it in a child process.

    :raises InputError: a frame on which `pair_style pod` would crash, or with an element that the potential does not know.
    :raises EngineError: LAMMPS refuses the potential.
    """
    require_usable(frames, potential.elements, potential.cutoff)
    energy, stress = np.zeros(len(frames)), np.zeros((len(frames), 6))
    forces, gamma = np.zeros((len(frames.numbers), 3)), np.zeros(len(frames.numbers))
    active = ActiveSet.load(potential.active_set) if potential.active_set is not None and potential.has_grade else None
    lines = [*potential.pair_lines, *(potential.grade_lines if active else ())]
    with LammpsSystem(potential.elements) as system:
        for index, atoms in enumerate(frames):
            kinds = system.load(atoms, lines)
            prediction = system.predict()
            energy[index], stress[index] = prediction.energy, prediction.stress
            forces[frames.rows(index)] = prediction.forces
            if active is not None:
                gamma[frames.rows(index)] = active.grade(system.atom_compute(GRADE_COMPUTE), kinds)
    return Evaluation(energy, forces, stress, gamma if active is not None else None)
