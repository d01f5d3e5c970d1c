"""Relaxations and plain MD in a LAMMPS of this process, with whatever gives the forces of a potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.forces import force_source, require_runnable
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.engines.lammps.simulation import SAMPLE_STEPS, Averages, Simulation


@dataclass(frozen=True, eq=False)
class Simulated:
    """A structure at the end of its simulation, and the averages over it."""

    atoms: Atoms
    averages: Averages


def simulate(atoms: Atoms, potential: LammpsPotential, simulation: Simulation) -> Simulated:
    """Return the outcome for one structure, in one LAMMPS instance on one MPI rank.

    An atom that leaves all others ends the process: call it by `isolated`.

    :raises InputError: a structure on which the engine would crash.
    :raises EngineError: LAMMPS refuses the potential, loses atoms, or a number is not finite.
    """
    require_runnable(atoms, potential, 'the start structure')
    with LammpsSystem(potential.elements, package=None) as system:
        force_source(system, potential, grade_every=0).attach(system.load(atoms, []))
        for line in [*simulation.setup_lines, f'thermo {SAMPLE_STEPS}']:
            system.command(line)
        if simulation.is_dynamics:
            samples = _sampled(system, simulation)
        else:
            system.command(simulation.minimize_line)
            samples = [_state(system, with_temperature=False)]
        volume, temperature, energy = np.mean(samples, axis=0).tolist()
        averages = Averages(volume, temperature, energy + potential.shift_of(atoms), len(samples))
        return Simulated(system.snapshot(atoms), averages)


def simulate_each(frames: Frames, potential: LammpsPotential, simulation: Simulation) -> list[Simulated]:
    """Return the outcome of :func:`simulate` for each structure, one after the other."""
    return [simulate(atoms, potential, simulation) for atoms in frames]


def _sampled(system: LammpsSystem, simulation: Simulation) -> list[tuple[float, float, float]]:
    system.command(f'run {simulation.equilibration} post no')
    samples = []
    for _ in range(simulation.steps // SAMPLE_STEPS):
        system.command(f'run {SAMPLE_STEPS} pre no post no')
        samples.append(_state(system, with_temperature=True))
    return samples


def _state(system: LammpsSystem, *, with_temperature: bool) -> tuple[float, float, float]:
    """Return volume (Å³), temperature (K) and potential energy (eV) of the present step."""
    read = system.lammps.get_thermo
    state = (float(read('vol')), float(read('temp')) if with_temperature else 0.0, float(read('pe')))
    if not np.isfinite(state).all():
        raise EngineError(f'volume, temperature and energy are {state}: the potential has lost its hold on the atoms')
    return state
