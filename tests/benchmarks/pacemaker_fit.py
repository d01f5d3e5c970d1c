"""One run of the real Pacemaker without AiiDA, for the comparison of the trainers."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace import pacemaker_data, pacemaker_input, pacemaker_start
from aiida_mlip_autopipe.engines.ace import potential as files
from aiida_mlip_autopipe.engines.ace.files import POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.library import pyace_module
from aiida_mlip_autopipe.engines.ace.pacemaker_settings import PacemakerTrainer
from aiida_mlip_autopipe.science.linear.fit import FitErrors

ROOT = Path(__file__).resolve().parents[2]
ITERATIONS = 50


def pacemaker_program() -> Path | None:
    """Return the program of the environment that `setup_profile.sh --pacemaker` makes, or None."""
    path = ROOT / '.pacemaker/bin/pacemaker'
    return path if path.exists() else None


def pacemaker_errors(program: Path, problem: Any, initial: Path | None) -> FitErrors:
    """Return the errors on the test set of a fit of 50 iterations with 40 functions per element and two densities.

    :param initial: folder of a linear ACE potential to start from, or None.
    """
    section = {'b_basis_size': 40, 'initial_potential': 'none', 'max_iter': ITERATIONS, 'kappa': 0.01, 'l1': 0.0, 'l2': 0.0}
    settings = PacemakerTrainer(cutoff=problem.cutoff, core_repulsion=False, **section).model_dump()
    inputs = pacemaker_input.InputFiles((files.TRAIN_DATA,), '', files.INITIAL_POTENTIAL if initial else '')
    values = pacemaker_input.build_input(settings, problem.elements, inputs, seed=1, kappa=0.01)
    arguments = [str(program), files.INPUT, *([pacemaker_input.CONTINUE, files.INITIAL_POTENTIAL] if initial else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / files.INPUT).write_text(pacemaker_input.input_text(values))
        factors = np.ones(len(problem.train))
        (folder / files.TRAIN_DATA).write_bytes(pacemaker_data.dataset(problem.train, problem.references, factors))
        if initial is not None:
            embeddings = pacemaker_start.embeddings_of(settings['embeddings'], problem.elements)
            text = pacemaker_start.starting_potential(
                (initial / POTENTIAL_YAML).read_text(), embeddings, {}, cutoff=problem.cutoff
            )
            (folder / files.INITIAL_POTENTIAL).write_text(text)
        environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
        subprocess.run(arguments, cwd=folder, check=True, capture_output=True, env=environment)
        calculator = pyace_module().PyACECalculator(str(folder / POTENTIAL_YAML))
        return _errors(calculator, problem.test, problem.references)


def _errors(calculator: Calculator, frames: Frames, references: dict[str, float]) -> FitErrors:
    energies, forces = [], []
    for index, atoms in enumerate(frames):
        copy = atoms.copy()
        copy.calc = calculator
        alone = sum(references[symbol] for symbol in copy.symbols)
        energies.append((copy.get_potential_energy() + alone - frames.energy[index]) / len(copy))
        forces.append((copy.get_forces() - frames.forces[frames.rows(index)]).ravel())
    return FitErrors(float(np.sqrt(np.mean(np.square(energies)))), float(np.sqrt(np.mean(np.concatenate(forces) ** 2))), None)
