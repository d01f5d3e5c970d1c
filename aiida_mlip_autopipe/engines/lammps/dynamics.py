"""Molecular dynamics that watches the extrapolation grade, keeps frames beyond the training set and stops far beyond it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.common.units import BAR
from aiida_mlip_autopipe.engines.lammps import md_text
from aiida_mlip_autopipe.engines.lammps.engine import ForceSource
from aiida_mlip_autopipe.engines.lammps.forces import force_source, require_runnable
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.science.md.bonds import shortest_bond
from aiida_mlip_autopipe.science.md.journal import RESTART, ROLLING, Journal
from aiida_mlip_autopipe.science.md.pool import CandidatePool, Recent
from aiida_mlip_autopipe.science.md.records import (
    FAILURES,
    MdResult,
    MdSettings,
    MdTrace,
    TrajectoryEnd,
    largest_temperature,
)

STRAINED: Final = 1.0
"""eV/Å, largest force on an atom of a start that is not relaxed first."""

START_RELAXED: Final = 0.1
"""eV/Å, norm of all forces at which the relaxation of a start ends, at the latest after `START_STEPS` iterations."""

START_STEPS: Final = 200

NEVER: Final = 1_000_000_000

_STOP: Final = 'stop'
_WATCH: Final = 'watch'
_MESSAGES: Final = (('Lost atoms', 'lost_atoms'), ('Non-numeric', 'temperature'))


def run_md(atoms: Atoms, potential: LammpsPotential, settings: MdSettings) -> MdResult:
    """Return the outcome of one run with a thermostat, in one LAMMPS instance on one MPI rank.

    When LAMMPS fails on the way, what was seen until then is handed back. An atom that leaves all others ends the process: call
    it by `isolated`, with a journal, from which :func:`~science.md.journal.read_journal` gives what was seen.

    :param atoms: periodic start structure of at least two atoms.
    :param potential: with grade lines and active set.
    :raises InputError: a potential without grade, or a structure on which the engine would crash.
    :raises EngineError: LAMMPS refuses the potential or the structure.
    """
    if len(atoms) < 2:
        raise InputError(f'molecular dynamics needs at least two atoms, got {len(atoms)}')
    require_runnable(atoms, potential, 'the start structure')
    with LammpsSystem(potential.elements, package=None) as system:
        source = force_source(system, potential, grade_every=settings.check_interval)
        source.attach(system.load(atoms, []))
        _relax_start(system)
        for line in _run_lines(settings):
            system.command(line)
        observer = _Observer(system, atoms, source, settings, potential.shift_of(atoms))
        system.call_back(_WATCH, observer.callback)
        stop, message = _run(system, observer, settings)
    done = settings.time_steps if stop is TrajectoryEnd.FINISHED else min(observer.steps[-1], settings.time_steps)
    before = observer.recent.chosen() if stop in FAILURES and not settings.samples else []
    return MdResult(observer.pool.chosen(), stop, message, done, observer.pool.n_seen, observer.trace(), before)


def _relax_start(system: LammpsSystem) -> None:
    """Relax the atoms of a start on which large forces act, so that MD does not begin with their release."""
    system.command('run 0 post no')
    library = system.lammps
    forces = library.numpy.extract_atom('f')[: library.extract_setting('nlocal')]
    if np.sqrt((forces**2).sum(axis=1)).max() <= STRAINED:
        return
    system.command(md_text.minimize_line(START_RELAXED, START_STEPS))
    system.command('reset_timestep 0')


def _run_lines(settings: MdSettings) -> list[str]:
    every = settings.check_interval
    lines = [
        md_text.velocity_line(settings.temperature, settings.seed),
        md_text.run_line(settings),
        md_text.timestep_line(settings.timestep),
        f'thermo {every}',  # energy and virial are tallied at the steps that the callback looks at
        f'variable {_STOP} internal 0.0',
        f'fix {_WATCH} all external pf/callback {every} {NEVER}',
        f'fix halt all halt {every} v_{_STOP} > 0.5 error soft message no',
    ]
    if settings.journal:
        path = Path(settings.journal) / RESTART
        lines.append(f'restart {max(1, settings.steps // md_text.RESTARTS)} "{path}{ROLLING[0]}" "{path}{ROLLING[1]}"')
    return lines


def _run(system: LammpsSystem, observer: _Observer, settings: MdSettings) -> tuple[TrajectoryEnd, str]:
    """Run and return why it ended; `fix halt` does not look at step 0, so that step has a run of its own."""
    try:
        system.command('run 0 post no')
        if observer.goes_on:
            system.command(f'run {settings.steps} post no')
        if settings.journal:
            system.command(f'write_restart "{Path(settings.journal) / RESTART}"')
        if observer.goes_on:
            _quench(system, observer, settings)
    except EngineError as error:
        if system.failure is not None or not observer.steps:
            raise
        reasons = [reason for text, reason in _MESSAGES if text in str(error)]
        return TrajectoryEnd(reasons[0]) if reasons else TrajectoryEnd.ERROR, str(error)
    return observer.stop or TrajectoryEnd.FINISHED, ''


def _quench(system: LammpsSystem, observer: _Observer, settings: MdSettings) -> None:
    """Relax the atoms in the last cell or cool them, still watched; the relaxed structure itself is looked at too."""
    if settings.quench == 'cool':
        for line in md_text.cooling_lines(settings):
            system.command(line)
    if settings.quench == 'minimize':
        system.command('velocity all set 0.0 0.0 0.0')
        system.command(md_text.minimize_line(md_text.RELAXED, settings.quench_steps))
        if observer.goes_on:
            observer.look(int(system.lammps.extract_global('ntimestep')), system.lammps.extract_setting('nlocal'))


class _Observer:
    """What LAMMPS calls at each check: it records the state, keeps frames and asks the run to stop."""

    def __init__(self, system: LammpsSystem, atoms: Atoms, source: ForceSource, settings: MdSettings, shift: float) -> None:
        self._system, self._atoms, self._source, self._settings, self._shift = system, atoms, source, settings, shift
        self._radii = np.array([covalent_radii[atomic_numbers[element]] for element in system.elements])
        self._sample_steps = settings.sample_steps
        self._journal = Journal(Path(settings.journal)) if settings.journal else None
        self.steps: list[int] = []
        self._values: list[tuple[float, ...]] = []
        self._volume = float(atoms.cell.volume)
        self.pool = CandidatePool(settings.max_candidates)
        self.recent = Recent()
        self.stop: TrajectoryEnd | None = None

    @property
    def goes_on(self) -> bool:
        """Whether nothing has asked the run to stop."""
        return self.stop is None

    def callback(self, step: int, tags: IntArray, positions: FloatArray, forces: FloatArray) -> None:
        """Look at the state of the run; no force is added."""
        forces[:, :] = 0.0
        self.look(step, len(tags))

    def look(self, step: int, n_local: int) -> None:
        """Record a step that was not looked at before, and stop the run where it must not go on."""
        if self.steps and step == self.steps[-1]:
            return
        self._look(step, n_local)
        if not self.goes_on:
            self._system.lammps.set_internal_variable(_STOP, 1.0)

    def trace(self) -> MdTrace:
        """Return the records of all checks."""
        values = np.array(self._values, dtype=np.float64).reshape(len(self._values), -1)
        return MdTrace(np.array(self.steps, dtype=np.int64), *(column.copy() for column in values.T))

    def _look(self, step: int, n_local: int) -> None:
        system = self._system
        if n_local != len(self._atoms):
            self.stop = TrajectoryEnd.LOST_ATOMS
            return
        grades = self._source.grade()
        gamma, bond = float(grades.max()), self._shortest_bond(n_local)
        temperature = system.scalar('thermo_temp')
        energy = system.scalar('thermo_pe') + self._shift
        values = (gamma, temperature, energy, system.scalar('thermo_press') * BAR, bond)
        self._values.append(values)
        self.steps.append(step)
        if self._journal is not None:
            self._journal.note((float(step), *values))
        self.stop = self._judged(step, temperature, bond, gamma)
        is_wanted = self._wants(step, gamma)
        if self.stop in FAILURES and not is_wanted:
            return
        frame = self._snapshot(step, grades)
        if self.stop not in FAILURES:
            self._remember(frame)
        if is_wanted:
            self._keep(frame)

    def _wants(self, step: int, gamma: float) -> bool:
        """Whether a frame is handed back: a sample at which the run goes on, or without samples one above the threshold."""
        if self._settings.samples:
            return step in self._sample_steps and self.goes_on
        return gamma > self._settings.gamma_select

    def _judged(self, step: int, temperature: float, bond: float, gamma: float) -> TrajectoryEnd | None:
        """Return why the run must not go on, or None."""
        settings = self._settings
        is_warm = step >= settings.warmup
        limit = largest_temperature(self._target, len(self._atoms)) if is_warm else md_text.HOT * self._target
        if not temperature <= limit or np.isnan(gamma):
            return TrajectoryEnd.TEMPERATURE
        if bond < settings.min_bond_fraction:
            return TrajectoryEnd.BOND
        low, high = settings.volume_window
        if not low * self._volume <= self._system.lammps.get_thermo('vol') <= high * self._volume:
            return TrajectoryEnd.VOLUME
        return TrajectoryEnd.GRADE if gamma > settings.gamma_halt else None

    def _snapshot(self, step: int, grades: FloatArray) -> Atoms:
        frame = self._system.snapshot(self._atoms)
        frame.info.update(gamma_max=float(grades.max()), step=step)
        frame.arrays['gamma'] = grades
        return frame

    def _remember(self, frame: Atoms) -> None:
        self.recent.add(frame)
        if self._journal is not None:
            self._journal.remember(frame)

    def _keep(self, frame: Atoms) -> None:
        thinned = self.pool.add(frame)
        if self._journal is not None:
            self._journal.keep(self.pool, thinned=thinned)

    def _shortest_bond(self, n_local: int) -> float:
        library = self._system.lammps
        n_all = n_local + library.extract_setting('nghost')
        places = library.numpy.extract_atom('x', nelem=n_all)
        kinds = library.numpy.extract_atom('type', nelem=n_all).astype(np.int64) - 1
        return shortest_bond(places, kinds, n_local, self._radii)

    @property
    def _target(self) -> float:
        return max(self._settings.temperature, self._settings.final_temperature)
