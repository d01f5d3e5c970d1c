"""Whether molecular dynamics keeps its energy at constant energy: forces that are no gradient, or a jump, show here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.common.trainer_predictions import spread_indices
from aiida_mlip_autopipe.common.units import MILLI, PICOSECOND
from aiida_mlip_autopipe.engines.lammps.forces import force_source, require_runnable
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.engines.lammps.md_text import velocity_line
from aiida_mlip_autopipe.science.checks.finding import Finding

DRIFT: Final = 'nve_drift'
FLUCTUATION: Final = 'nve_fluctuation'

SAMPLE_STEPS: Final = 10
"""Steps between two looks at the energy."""

MIN_ATOMS: Final = 8
"""Smaller base structures are repeated: one or two atoms have hardly any motion that could show an error."""

MAX_SEED: Final = 2**31 - 1


@dataclass(frozen=True)
class NveSettings:
    """Conditions of a run at constant energy.

    :param temperature: K, of the initial velocities.
    :param steps: number of time steps.
    :param timestep: fs.
    :param seed: of the initial velocities, 1 to 2³¹ - 1.
    :raises InputError: a value out of its range.
    """

    temperature: float
    steps: int
    timestep: float
    seed: int

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        for name in ('temperature', 'timestep'):
            if not getattr(self, name) > 0:
                raise InputError(f'{name} is {getattr(self, name)}, expected more than 0')
        if self.steps < SAMPLE_STEPS:
            raise InputError(f'steps is {self.steps}, expected at least {SAMPLE_STEPS}')
        if not 0 < self.seed <= MAX_SEED:
            raise InputError(f'seed is {self.seed}, expected 1 to {MAX_SEED}')

    @property
    def n_samples(self) -> int:
        """How often the energy is looked at, the start included."""
        return self.steps // SAMPLE_STEPS + 1

    @property
    def times(self) -> FloatArray:
        """Times at which the energy is looked at, fs, shape (n_samples,)."""
        return np.arange(self.n_samples, dtype=np.float64) * (SAMPLE_STEPS * self.timestep)


def base_indices(frames: Frames, count: int) -> IntArray:
    """Return one row for each lineage, at most `count`, spread over the lineages: the root, else the frame with the least force.

    A shaken frame is a bad start: it turns its energy into heat far above the temperature that is asked for.
    """
    largest = np.maximum.reduceat(np.linalg.norm(frames.forces, axis=1), frames.offsets[:-1])
    rows = []
    for name in dict.fromkeys(frames.lineage.tolist()):
        members = np.flatnonzero(frames.lineage == name)
        roots = members[frames.uid[members] == name]
        rows.append(int(roots[0] if len(roots) else members[np.argmin(largest[members])]))
    return np.asarray(rows, dtype=np.int64)[spread_indices(len(rows), count)]


def base_structures(frames: Frames, count: int) -> list[Atoms]:
    """Return the structures of :func:`base_indices`, small ones repeated along their shortest lattice vectors."""
    structures = []
    for row in base_indices(frames, count):
        found = frames.atoms(int(row))
        atoms = Atoms(numbers=found.numbers, positions=found.positions, cell=found.cell, pbc=True)
        while len(atoms) < MIN_ATOMS:
            repeats = [1, 1, 1]
            repeats[int(np.argmin(atoms.cell.lengths()))] = 2
            atoms = atoms.repeat(repeats)
        structures.append(atoms)
    return structures


def run_nve(atoms: Atoms, potential: LammpsPotential, settings: NveSettings) -> FloatArray:
    """Return the total energy at each sampled time, eV, shape (n_samples,).

    An atom that leaves all others ends the process: call it by `isolated`.

    :raises InputError: a structure on which the engine would crash.
    :raises EngineError: LAMMPS refuses the potential, or the run loses atoms.
    """
    require_runnable(atoms, potential, 'the start structure')
    lines = [
        velocity_line(settings.temperature, settings.seed),
        'fix ensemble all nve',
        f'timestep {settings.timestep / PICOSECOND:.16g}',
        f'thermo {SAMPLE_STEPS}',
    ]
    with LammpsSystem(potential.elements, package=None) as system:
        force_source(system, potential, grade_every=0).attach(system.load(atoms, []))
        for line in lines:
            system.command(line)
        system.command('run 0 post no')
        energies = [float(system.lammps.get_thermo('etotal'))]
        for _ in range(settings.n_samples - 1):
            system.command(f'run {SAMPLE_STEPS} pre no post no')
            energies.append(float(system.lammps.get_thermo('etotal')))
            if not np.isfinite(energies[-1]):
                raise EngineError(f'the total energy is {energies[-1]} after {len(energies) * SAMPLE_STEPS} steps')
    return np.array(energies) + potential.shift_of(atoms)


def run_each_nve(structures: Sequence[Atoms], potential: LammpsPotential, settings: NveSettings) -> FloatArray:
    """Return the total energies of :func:`run_nve` for each structure, eV, shape (n_structures, n_samples)."""
    return np.array([run_nve(atoms, potential, settings) for atoms in structures])


@dataclass(frozen=True)
class Conservation:
    """How well the total energy was kept.

    :param drift: meV/atom per ps, slope of a straight line through it.
    :param fluctuation: meV/atom, standard deviation around that line.
    """

    drift: float
    fluctuation: float


def conservation(times: FloatArray, energies: FloatArray, n_atoms: int) -> Conservation:
    """Return drift and fluctuation of a total energy.

    :param times: fs, shape (n_samples,).
    :param energies: eV, of the whole cell, shape (n_samples,).
    """
    per_atom = MILLI * energies / n_atoms
    line = np.polynomial.Polynomial.fit(times / PICOSECOND, per_atom, 1).convert()
    rest = per_atom - line(times / PICOSECOND)
    return Conservation(float(line.coef[1]) if len(line.coef) > 1 else 0.0, float(rest.std()))


def conservation_findings(found: list[tuple[str, Conservation]], *, drift: float, fluctuation: float) -> list[Finding]:
    """Return the findings on the worst structure of each kind.

    :param found: name and conservation of each structure, at least one.
    :param drift: meV/atom per ps, limit.
    :param fluctuation: meV/atom, limit.
    """
    drifting, drifts = max(found, key=lambda item: abs(item[1].drift))
    shaking, shakes = max(found, key=lambda item: item[1].fluctuation)
    return [
        Finding.at_most(
            DRIFT,
            abs(drifts.drift),
            drift,
            'meV/atom/ps',
            f'at constant energy the total energy drifts by up to {drifts.drift:.3g} meV/atom per ps ({drifting}, '
            f'{len(found)} base structures); the limit is {drift:g}',
        ),
        Finding.at_most(
            FLUCTUATION,
            shakes.fluctuation,
            fluctuation,
            'meV/atom',
            f'at constant energy the total energy fluctuates by up to {shakes.fluctuation:.3g} meV/atom ({shaking}, '
            f'{len(found)} base structures); the limit is {fluctuation:g}',
        ),
    ]
