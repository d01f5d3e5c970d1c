"""Molecular dynamics that watches the extrapolation grade, keeps frames beyond the training set and stops far beyond it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError, MlipError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.common.pod import GRADE_COMPUTE
from aiida_mlip_autopipe.common.units import BAR, PICOSECOND
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.science.pod.guards import require_neighbours
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

THERMOSTAT_STEPS: Final = 100
BAROSTAT_STEPS: Final = 1000
"""Damping times in time steps, as LAMMPS's manual advises."""

HOT: Final = 10.0
"""A run is stopped when its temperature exceeds the target by this factor: the potential has lost its hold on the atoms."""

POOL: Final = 8
"""Frames held during the run, as a multiple of `max_candidates`, before they are thinned."""

NEVER: Final = 1_000_000_000

MAX_SEED: Final = 2**31 - 1

_STOP: Final = 'stop'
_MESSAGES: Final = (('Lost atoms', 'lost_atoms'), ('Non-numeric', 'temperature'))


class StopReason(StrEnum):
    """Why a run ended: all steps done, grade above the limit, atoms lost, temperature out of hand, or another LAMMPS error."""

    FINISHED = 'finished'
    GRADE = 'grade'
    LOST_ATOMS = 'lost_atoms'
    TEMPERATURE = 'temperature'
    ERROR = 'error'


@dataclass(frozen=True)
class MdSettings:
    """Conditions of a run.

    :param temperature: K.
    :param steps: number of time steps.
    :param seed: of the initial velocities, 1 to 2³¹ - 1.
    :param pressure: eV/Å³, kept by scaling the cell alike in all directions; None keeps the cell.
    :param timestep: fs.
    :param check_interval: steps between two looks at the grade.
    :param gamma_select: grade above which a frame is kept.
    :param gamma_halt: grade above which the run stops; the frame is kept.
    :param max_candidates: largest number of frames that are handed back.
    :raises InputError: a value out of its range.
    """

    temperature: float
    steps: int
    seed: int
    pressure: float | None = None
    timestep: float = 1.0
    check_interval: int = 10
    gamma_select: float = 2.0
    gamma_halt: float = 10.0
    max_candidates: int = 50

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        for name in ('temperature', 'timestep', 'steps', 'check_interval', 'gamma_select', 'max_candidates'):
            if not getattr(self, name) > 0:
                raise InputError(f'{name} is {getattr(self, name)}, expected more than 0')
        if not 0 < self.seed <= MAX_SEED:
            raise InputError(f'seed is {self.seed}, expected 1 to {MAX_SEED}')
        if self.gamma_halt < self.gamma_select:
            raise InputError(f'gamma_halt {self.gamma_halt} is smaller than gamma_select {self.gamma_select}')


@dataclass(frozen=True, eq=False)
class MdTrace:
    """What was seen at each check, one entry per check; all of shape (n_checks,).

    :param step: time step.
    :param gamma_max: largest extrapolation grade of an atom.
    :param temperature: K.
    :param potential_energy: eV.
    :param pressure: eV/Å³.
    """

    step: IntArray
    gamma_max: FloatArray
    temperature: FloatArray
    potential_energy: FloatArray
    pressure: FloatArray


@dataclass(frozen=True, eq=False)
class MdResult:
    """What a run gave.

    :param candidates: frames above `gamma_select` in the order of time, in the frame of the start structure, atoms wrapped;
        `info` has `gamma_max` and `step`, `arrays` has `gamma` per atom.
    :param stop: why the run ended.
    :param message: LAMMPS's error, or empty.
    :param steps_done: time steps, up to the last check when LAMMPS failed.
    :param n_selected: frames above `gamma_select`, before they were thinned to `max_candidates`.
    :param trace: at each check, beginning with step 0.
    """

    candidates: list[Atoms]
    stop: StopReason
    message: str
    steps_done: int
    n_selected: int
    trace: MdTrace


def run_md(atoms: Atoms, potential: LammpsPotential, settings: MdSettings) -> MdResult:
    """Return the outcome of one run with a thermostat, in one LAMMPS instance on one MPI rank.

    When LAMMPS fails on the way, what was seen until then is handed back. An atom that leaves all others ends the process: call
    it through `remote.engine.md`.

    :param atoms: periodic start structure of at least two atoms.
    :param potential: with grade lines and active set.
    :raises InputError: a potential without grade, or a structure on which POD would crash.
    :raises EngineError: LAMMPS refuses the potential or the structure.
    """
    if potential.active_set is None or not potential.has_grade:
        raise InputError('molecular dynamics needs a potential with an active set and the compute for its grade')
    if len(atoms) < 2:
        raise InputError(f'molecular dynamics needs at least two atoms, got {len(atoms)}')
    require_neighbours(atoms, potential.cutoff, 'the start structure')
    active = ActiveSet.load(potential.active_set)
    with LammpsSystem(potential.elements) as system:
        kinds = system.load(atoms, [*potential.pair_lines, *potential.grade_lines, *_run_lines(settings)])
        observer = _Observer(system, atoms, active, kinds, settings)
        system.lammps.set_fix_external_callback('watch', observer.callback, None)
        stop, message = _run(system, observer, settings)
    done = settings.steps if stop is StopReason.FINISHED else observer.steps[-1]
    return MdResult(observer.pool.chosen(), stop, message, done, observer.pool.n_seen, observer.trace())


def _run_lines(settings: MdSettings) -> list[str]:
    step, temperature, every = settings.timestep / PICOSECOND, f'{settings.temperature:.16g}', settings.check_interval
    ensemble = f'nvt temp {temperature} {temperature} {THERMOSTAT_STEPS * step:.16g}'
    if settings.pressure is not None:
        pressure = f'{settings.pressure / BAR:.16g}'
        ensemble = f'npt{ensemble[3:]} iso {pressure} {pressure} {BAROSTAT_STEPS * step:.16g}'
    return [
        f'velocity all create {temperature} {settings.seed} mom yes rot no dist gaussian',
        f'fix ensemble all {ensemble}',
        f'timestep {step:.16g}',
        f'thermo {every}',  # energy and virial are tallied at the steps that the callback looks at
        f'variable {_STOP} internal 0.0',
        f'fix watch all external pf/callback {every} {NEVER}',
        f'fix halt all halt {every} v_{_STOP} > 0.5 error soft message no',
    ]


def _run(system: LammpsSystem, observer: _Observer, settings: MdSettings) -> tuple[StopReason, str]:
    """Run and return why it ended; `fix halt` does not look at step 0, so that step has a run of its own."""
    try:
        system.command('run 0 post no')
        if observer.stop is None:
            system.command(f'run {settings.steps} post no')
    except EngineError as error:
        if not observer.steps:
            raise
        reasons = [reason for text, reason in _MESSAGES if text in str(error)]
        return StopReason(reasons[0]) if reasons else StopReason.ERROR, str(error)
    if observer.failure is not None:
        raise EngineError(f'the grade could not be computed: {observer.failure}') from observer.failure
    return observer.stop or StopReason.FINISHED, ''


@dataclass
class _Pool:
    """Candidates in the order of time, thinned to the highest grade within equal stretches of time."""

    limit: int
    frames: list[Atoms] = field(default_factory=list)
    n_seen: int = 0

    def add(self, frame: Atoms) -> None:
        self.n_seen += 1
        self.frames.append(frame)
        if len(self.frames) > POOL * self.limit:
            last = self.frames.pop()
            self.frames = [*_best_of(self.frames, POOL * self.limit // 2), last]

    def chosen(self) -> list[Atoms]:
        """Return at most `limit` frames; the last one, at which the run may have stopped, is always among them."""
        if len(self.frames) <= self.limit:
            return self.frames
        return [*_best_of(self.frames[:-1], self.limit - 1), self.frames[-1]]


def _best_of(frames: list[Atoms], limit: int) -> list[Atoms]:
    """Return at most `limit` frames in the order of time: the highest grade of each of as many equal stretches of time.

    Places of stretches without a frame go to the highest grades among the others.
    """
    if len(frames) <= limit or limit == 0:
        return frames[:limit]
    steps = np.array([frame.info['step'] for frame in frames])
    grades = np.array([frame.info['gamma_max'] for frame in frames])
    stretches = (steps - steps[0]) * limit // (steps[-1] - steps[0] + 1)
    by_grade = np.argsort(-grades, kind='stable')
    _, first = np.unique(stretches[by_grade], return_index=True)
    best = by_grade[first]
    others = by_grade[~np.isin(by_grade, best)]
    return [frames[index] for index in sorted([*best, *others[: limit - len(best)]])]


class _Observer:
    """What LAMMPS calls at each check: it records the state, keeps frames and asks the run to stop."""

    def __init__(self, system: LammpsSystem, atoms: Atoms, active: ActiveSet, kinds: IntArray, settings: MdSettings) -> None:
        self._system, self._atoms, self._active, self._kinds, self._settings = system, atoms, active, kinds, settings
        self.steps: list[int] = []
        self._values: list[tuple[float, float, float, float]] = []
        self.pool = _Pool(settings.max_candidates)
        self.stop: StopReason | None = None
        self.failure: MlipError | None = None

    def callback(self, caller: object, step: int, n_local: int, tags: object, positions: object, forces: FloatArray) -> None:
        """Look at the state of the run; an error cannot travel through LAMMPS, so it is kept and ends the run."""
        forces[:, :] = 0.0
        if self.failure is not None or (self.steps and step == self.steps[-1]):
            return
        self.failure = EngineError(f'the check at step {step} ended early')
        try:
            self._look(int(step), n_local)
            self.failure = None
        except MlipError as error:
            self.failure = error
        finally:
            if self.stop is not None or self.failure is not None:
                self._system.lammps.set_internal_variable(_STOP, 1.0)

    def trace(self) -> MdTrace:
        """Return the records of all checks."""
        values = np.array(self._values, dtype=np.float64).reshape(-1, 4)
        return MdTrace(np.array(self.steps, dtype=np.int64), *(values[:, column].copy() for column in range(4)))

    def _look(self, step: int, n_local: int) -> None:
        system, settings = self._system, self._settings
        if n_local != len(self._atoms):
            self.stop = StopReason.LOST_ATOMS
            return
        grades = self._active.grade(system.atom_compute(GRADE_COMPUTE), self._kinds)
        gamma = float(grades.max())
        temperature = system.scalar('thermo_temp')
        self._values.append((gamma, temperature, system.scalar('thermo_pe'), system.scalar('thermo_press') * BAR))
        self.steps.append(step)
        if not np.isfinite(temperature) or temperature > HOT * settings.temperature or np.isnan(gamma):
            self.stop = StopReason.TEMPERATURE
        elif gamma > settings.gamma_halt:
            self.stop = StopReason.GRADE
        if gamma > settings.gamma_select:
            frame = system.snapshot(self._atoms)
            frame.info.update(gamma_max=gamma, step=step)
            frame.arrays['gamma'] = grades
            self.pool.add(frame)
