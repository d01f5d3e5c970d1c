"""What a potential predicts for frames, and how far it extrapolates there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.science.grades import grade_source, guard_of
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.science.pair_styles import require_pair_styles


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

    :raises InputError: a frame on which LAMMPS would crash, or with an element that the potential does not know.
    :raises InstallationError: LAMMPS has not its pair style.
    :raises EngineError: LAMMPS refuses the potential.
    """
    guard_of(potential.engine)(frames, potential.elements, potential.cutoff)
    energy, stress = np.zeros(len(frames)), np.zeros((len(frames), 6))
    forces, gamma = np.zeros((len(frames.numbers), 3)), np.zeros(len(frames.numbers))
    source = grade_source(potential.engine) if potential.has_grade else None
    lines, read = (source.lines(potential), source.reader(potential)) if source else (potential.pair_lines, None)
    with LammpsSystem(potential.elements, package=None) as system:
        require_pair_styles(lines, system.lammps)
        for index, atoms in enumerate(frames):
            kinds = system.load(atoms, lines)
            prediction = system.predict()
            energy[index], stress[index] = prediction.energy + potential.shift_of(atoms), prediction.stress
            forces[frames.rows(index)] = prediction.forces
            if read is not None:
                gamma[frames.rows(index)] = read(system, kinds)
    return Evaluation(energy, forces, stress, gamma if read is not None else None)
