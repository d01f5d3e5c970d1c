"""Conditions and outcome of one run of molecular dynamics: what goes into it and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

MAX_SEED: Final = 2**31 - 1

BAROSTATS: Final = {'isotropic': 'iso', 'anisotropic': 'aniso'}
"""LAMMPS's keyword for each way to keep a pressure."""

QUENCHES: Final = ('none', 'minimize', 'cool')

SWING: Final = 8.0
"""Standard deviations above the target that the temperature may have after the warm-up."""

_POSITIVE: Final = (
    'temperature',
    'timestep',
    'steps',
    'check_interval',
    'gamma_select',
    'max_candidates',
    'quench_steps',
    'quench_temperature',
)


class TrajectoryEnd(StrEnum):
    """Why a run ended.

    All steps done, grade above the limit, atoms lost, temperature or volume out of hand, a bond too short, or another error of
    LAMMPS.
    """

    FINISHED = 'finished'
    GRADE = 'grade'
    LOST_ATOMS = 'lost_atoms'
    TEMPERATURE = 'temperature'
    VOLUME = 'volume'
    BOND = 'bond'
    ERROR = 'error'


FAILURES: Final = frozenset(TrajectoryEnd) - {TrajectoryEnd.FINISHED, TrajectoryEnd.GRADE}
"""Ends that show a fault of the potential which its grade did not foresee; frames from before it are handed back."""


@dataclass(frozen=True)
class MdSettings:
    """Conditions of a run.

    :param temperature: K.
    :param steps: number of time steps.
    :param seed: of the initial velocities, 1 to 2³¹ - 1.
    :param pressure: eV/Å³, kept by scaling the cell; None keeps the cell.
    :param timestep: fs.
    :param check_interval: steps between two looks at the grade.
    :param gamma_select: grade above which a frame is kept.
    :param gamma_halt: grade above which the run stops; the frame is kept.
    :param max_candidates: largest number of frames that are handed back.
    :param temperature_end: K, end of a linear ramp over all steps, or None.
    :param barostat: a key of :data:`BAROSTATS`.
    :param min_bond_fraction: shortest distance in sums of covalent radii below which the run stops; 0 for never.
    :param volume_window: smallest and largest volume, over that of the start, dimensionless.
    :param warmup: steps at the beginning in which the temperature may swing, as the start comes to it from rest.
    :param quench: one of :data:`QUENCHES`, after the run: nothing, a relaxation in the last cell, or cooling.
    :param quench_steps: largest number of iterations of the relaxation, or number of time steps of the cooling.
    :param quench_temperature: K, end of the cooling.
    :param samples: frames that are handed back in place of those above `gamma_select`: evenly spaced after the warm-up, whatever
        their grade, up to the check that stops the run; 0 for none.
    :param journal: existing folder in which the run leaves what it sees while it sees it, or empty.
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
    temperature_end: float | None = None
    barostat: str = 'isotropic'
    min_bond_fraction: float = 0.0
    volume_window: tuple[float, float] = (0.0, float('inf'))
    warmup: int = 0
    quench: str = 'none'
    quench_steps: int = 1000
    quench_temperature: float = 50.0
    samples: int = 0
    journal: str = ''

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        for name in (*_POSITIVE, *(('temperature_end',) if self.temperature_end is not None else ())):
            if not getattr(self, name) > 0:
                raise InputError(f'{name} is {getattr(self, name)}, expected more than 0')
        if not 0 < self.seed <= MAX_SEED:
            raise InputError(f'seed is {self.seed}, expected 1 to {MAX_SEED}')
        if self.gamma_halt <= self.gamma_select:
            raise InputError(f'gamma_halt {self.gamma_halt} must be larger than gamma_select {self.gamma_select}')
        if self.samples < 0:
            raise InputError(f'samples is {self.samples}, expected 0 or more')
        if not 0 <= self.min_bond_fraction < 1:
            raise InputError(f'min_bond_fraction is {self.min_bond_fraction}, expected 0 to less than 1')
        for name, allowed in (('barostat', BAROSTATS), ('quench', QUENCHES)):
            if getattr(self, name) not in allowed:
                raise InputError(f'{name} is {getattr(self, name)!r}, expected one of {", ".join(allowed)}')

        self._require_windows()

    def _require_windows(self) -> None:
        if not 0 <= self.volume_window[0] < 1 < self.volume_window[1]:
            raise InputError(f'volume_window is {self.volume_window}, expected two numbers with 1 between them')
        if not 0 <= self.warmup <= self.steps:
            raise InputError(f'warmup is {self.warmup}, expected 0 to the {self.steps} steps')

    @property
    def final_temperature(self) -> float:
        """Temperature (K) of the thermostat in the last step, before a quench."""
        return self.temperature if self.temperature_end is None else self.temperature_end

    @property
    def sample_steps(self) -> frozenset[int]:
        """Checks at which a sample is taken."""
        ends = [self.warmup + (self.steps - self.warmup) * (place + 1) // self.samples for place in range(self.samples)]
        return frozenset(end - end % self.check_interval for end in ends) - {0}

    @property
    def time_steps(self) -> int:
        """Time steps of a run that finishes, cooling included."""
        return self.steps + (self.quench_steps if self.quench == 'cool' else 0)


def velocity_seeds(seed: int, loop_round: int, count: int) -> list[int]:
    """Return the seeds of the velocities of `count` trajectories."""
    rng = np.random.default_rng([seed, loop_round])
    return [int(rng.integers(1, MAX_SEED)) for _ in range(count)]


@dataclass(frozen=True, eq=False)
class MdTrace:
    """What was seen at each check, one entry per check; all of shape (n_checks,).

    :param step: time step; after a relaxation, its iterations count too.
    :param gamma_max: largest extrapolation grade of an atom.
    :param temperature: K.
    :param potential_energy: eV.
    :param pressure: eV/Å³.
    :param bond: shortest distance in sums of the covalent radii, dimensionless.
    """

    step: IntArray
    gamma_max: FloatArray
    temperature: FloatArray
    potential_energy: FloatArray
    pressure: FloatArray
    bond: FloatArray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False)
class MdResult:
    """What a run gave.

    :param candidates: frames above `gamma_select`, or the samples, in the order of time, in the frame of the start structure,
        atoms wrapped; `info` has `gamma_max` and `step`, `arrays` has `gamma` per atom.
    :param stop: why the run ended.
    :param message: LAMMPS's error, or empty.
    :param steps_done: time steps, up to the last check when LAMMPS failed.
    :param n_selected: frames above `gamma_select`, before they were thinned to `max_candidates`.
    :param trace: at each check, beginning with step 0.
    :param before_failure: frames from before one of :data:`FAILURES`, like the candidates; the last is the newest.
    """

    candidates: list[Atoms]
    stop: TrajectoryEnd
    message: str
    steps_done: int
    n_selected: int
    trace: MdTrace
    before_failure: list[Atoms] = field(default_factory=list)


def largest_temperature(target: float, n_atoms: int) -> float:
    """Return the temperature (K) that n atoms held at the target reach by chance less than once in any run.

    In the canonical ensemble the standard deviation of the temperature of n atoms is T sqrt(2 / (3 n)).
    """
    return target * (1 + SWING * float(np.sqrt(2 / (3 * n_atoms))))
