"""What a potential predicts for frames, and how far it extrapolates there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.engines.lammps.forces import force_source, require_each_runnable
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem


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
    """Return the predictions of a potential, in this process; call it by `isolated`.

    :raises InputError: a frame on which LAMMPS would crash, or with an element that the potential does not know.
    :raises InstallationError: LAMMPS has not what the potential needs.
    :raises EngineError: LAMMPS refuses the potential.
    """
    require_each_runnable(frames, potential)
    energy, stress = np.zeros(len(frames)), np.zeros((len(frames), 6))
    forces, gamma = np.zeros((len(frames.numbers), 3)), np.zeros(len(frames.numbers))
    with LammpsSystem(potential.elements, package=None) as system:
        source = force_source(system, potential, grade_every=1 if potential.has_grade else 0)
        for index, atoms in enumerate(frames):
            source.attach(system.load(atoms, []))
            prediction = system.predict()
            energy[index], stress[index] = prediction.energy + potential.shift_of(atoms), prediction.stress
            forces[frames.rows(index)] = prediction.forces
            if potential.has_grade:
                gamma[frames.rows(index)] = source.grade()
    return Evaluation(energy, forces, stress, gamma if potential.has_grade else None)
