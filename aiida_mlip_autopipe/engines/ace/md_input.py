"""Input of LAMMPS for MD that watches the grade of `pace/extrapolation`: names of the files and the text.

Names of fixes, computes and dumps are those of the recipe in Pacemaker's documentation.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.units import BAR, PICOSECOND
from aiida_mlip_autopipe.engines.ace.files import GRADE_STYLE
from aiida_mlip_autopipe.engines.lammps.data import THERMOSTAT_STEPS, masses_of, structure_commands
from aiida_mlip_autopipe.formats.restarts import restart_file

"""Pair style whose per-atom quantity `gamma` is the extrapolation grade."""

GRADE_COLUMN: Final = 'f_gam'
GRADE_MAX_COLUMN: Final = 'c_cmax'
"""Per-atom grade in the dump; largest of all atoms in the thermodynamic output."""

GRADE_HALT: Final = 'stop'
TEMPERATURE_HALT: Final = 'hot'
BOND_HALT: Final = 'close'
"""Identifiers of the `fix halt` of each quantity that is watched."""

BAROSTAT_STEPS: Final = 1000
"""Damping time of the barostat in time steps, as LAMMPS's manual advises."""

BAROSTATS: Final = {'isotropic': 'iso', 'anisotropic': 'aniso'}
"""LAMMPS's keyword for each way to keep a pressure."""

QUENCHES: Final = ('none', 'minimize', 'cool')

HOT: Final = 10.0
"""A run is stopped when its temperature exceeds the target by this factor: the potential has lost its hold on the atoms."""

RELAXED: Final = 1e-3
"""eV/Å, norm of all forces at which a relaxation ends."""

RESTARTS: Final = 5
"""Restart files that a run writes on the way."""

MAX_SEED: Final = 2**31 - 1


@dataclass(frozen=True)
class Watch:
    """How long a run lasts and what is looked at.

    :param steps: number of time steps, without a quench.
    :param check_interval: steps between two looks at the grade.
    :param gamma_select: grade above which a frame is kept.
    :param gamma_halt: grade above which the run stops; the frame is kept.
    :param min_bond_fraction: shortest distance in sums of covalent radii below which the run stops; 0 for never.
    :raises InputError: a value out of its range.
    """

    steps: int
    check_interval: int
    gamma_select: float
    gamma_halt: float
    min_bond_fraction: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        _require_positive(self, ('steps', 'check_interval', 'gamma_select'))
        if self.gamma_halt <= self.gamma_select:
            raise InputError(f'gamma_halt {self.gamma_halt} must be larger than gamma_select {self.gamma_select}')
        if not 0 <= self.min_bond_fraction < 1:
            raise InputError(f'min_bond_fraction is {self.min_bond_fraction}, expected 0 to less than 1')


@dataclass(frozen=True)
class Ensemble:
    """What the atoms are coupled to.

    :param temperature: K, of the initial velocities and of the thermostat at the first step.
    :param timestep: fs.
    :param seed: of the initial velocities, 1 to 2³¹ - 1.
    :param temperature_end: K, end of a linear ramp over all steps, or None.
    :param pressure: eV/Å³, kept by scaling the cell; None keeps the cell.
    :param barostat: a key of :data:`BAROSTATS`.
    :raises InputError: a value out of its range.
    """

    temperature: float
    timestep: float
    seed: int
    temperature_end: float | None = None
    pressure: float | None = None
    barostat: str = 'isotropic'

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        _require_positive(self, ('temperature', 'timestep', *(('temperature_end',) if self.temperature_end is not None else ())))
        if not 0 < self.seed <= MAX_SEED:
            raise InputError(f'seed is {self.seed}, expected 1 to {MAX_SEED}')
        if self.barostat not in BAROSTATS:
            raise InputError(f'barostat is {self.barostat!r}, expected one of {", ".join(BAROSTATS)}')

    @property
    def final_temperature(self) -> float:
        """Temperature (K) of the thermostat in the last step, before a quench."""
        return self.temperature if self.temperature_end is None else self.temperature_end


@dataclass(frozen=True)
class Quench:
    """What follows the run.

    :param kind: one of :data:`QUENCHES`: nothing, a relaxation of the atoms in the last cell, or cooling.
    :param steps: largest number of iterations of the relaxation, or number of time steps of the cooling.
    :param temperature: K, end of the cooling.
    :raises InputError: a value out of its range.
    """

    kind: str = 'none'
    steps: int = 1000
    temperature: float = 50.0

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        _require_positive(self, ('steps', 'temperature'))
        if self.kind not in QUENCHES:
            raise InputError(f'quench is {self.kind!r}, expected one of {", ".join(QUENCHES)}')


def _require_positive(record: object, names: Sequence[str]) -> None:
    for name in names:
        if not getattr(record, name) > 0:
            raise InputError(f'{name} is {getattr(record, name)}, expected more than 0')


@dataclass(frozen=True)
class RunFiles:
    """Names of the files of one trajectory.

    :param index: of the start structure.
    """

    index: int

    @property
    def input(self) -> str:
        """LAMMPS's input."""
        return f'in_{self.index:03d}.lammps'

    @property
    def data(self) -> str:
        """The start structure."""
        return f'start_{self.index:03d}.data'

    @property
    def output(self) -> str:
        """Standard output and standard error together: some messages of ACE are on the latter only."""
        return f'lammps_{self.index:03d}.out'

    @property
    def dump(self) -> str:
        """Frames above `gamma_select`."""
        return f'extrapolative_{self.index:03d}.dump'

    @property
    def restart(self) -> str:
        """State at the end of a run that finished or was halted."""
        return restart_file(self.index)

    @property
    def rolling(self) -> str:
        """Pattern of the states on the way; LAMMPS puts the time step in place of the star."""
        return f'rolling_{self.index:03d}.*'

    @property
    def arguments(self) -> list[str]:
        """Arguments of the LAMMPS program; the standard output holds all that a log file would."""
        return ['-in', self.input, '-log', 'none']


def velocity_seeds(seed: int, loop_round: int, count: int) -> list[int]:
    """Return the seeds of the velocities of `count` trajectories."""
    rng = np.random.default_rng([seed, loop_round])
    return [int(rng.integers(1, MAX_SEED)) for _ in range(count)]


def has_grade(lines: Sequence[str]) -> bool:
    """Whether LAMMPS lines load a pair style that gives the grade of each atom."""
    words = [line.split() for line in lines]
    return any(line[:1] == ['pair_style'] and GRADE_STYLE in line for line in words)


def in_folder(lines: Sequence[str], names: Collection[str], folder: str) -> list[str]:
    """Return LAMMPS lines with the files among their words looked for in `folder`."""
    return [' '.join(f'{folder}/{word}' if word in names else word for word in shlex.split(line)) for line in lines]


@dataclass(frozen=True)
class PaceMd:
    """One run that keeps frames above `gamma_select` and halts above `gamma_halt`.

    :param elements: chemical symbols in the order of the atom types.
    :param pair_lines: the lines that load the pair style which gives the grade.
    :param ensemble: what the atoms are coupled to.
    :param watch: how long it lasts and what is looked at.
    :param quench: what follows.
    :param restart: restart file of a run of the same structure that is continued, or empty.
    :raises InputError: the lines do not load such a pair style.
    """

    elements: tuple[str, ...]
    pair_lines: tuple[str, ...]
    ensemble: Ensemble
    watch: Watch
    quench: Quench = Quench()
    restart: str = ''

    def __post_init__(self) -> None:
        """Refuse a potential without grade."""
        if not has_grade(self.pair_lines):
            raise InputError(f'the lines of the potential load no pair style {GRADE_STYLE}: {list(self.pair_lines)}')

    def text(self, files: RunFiles) -> str:
        """Return the complete input.

        The grade is computed, compared, dumped and printed at the same steps: between them LAMMPS would hand out the old one
        without a word. `fix halt` does not look at step 0, so that step has a run of its own. After a halt of the kind `soft`
        LAMMPS skips further runs and carries out the other commands.
        """
        lines = [
            *self._structure_lines(files.data),
            *self.pair_lines,
            'neighbor 1.0 bin',
            'neigh_modify delay 0 every 1 check yes',
            f'timestep {self.ensemble.timestep / PICOSECOND:.16g}',
            *self._velocity_lines(),
            *self._watch_lines(files.dump),
            *self._temperature_lines(),
            *self._bond_lines(),
            *self._grade_lines(),
            self._integrator(self.ensemble.temperature, self.ensemble.final_temperature),
            f'thermo {self.watch.check_interval}',
            f'thermo_style custom step temp pe ke etotal press vol {GRADE_MAX_COLUMN}',
            'thermo_modify format float %.12g flush yes',  # a run that is killed keeps what it printed
            'run 0',
            f'if "$({GRADE_MAX_COLUMN}) > {self.watch.gamma_halt:.16g}" then "jump SELF end"',
            f'restart {max(1, self.watch.steps // RESTARTS)} {files.rolling}',
            f'run {self.watch.steps}',
            'restart 0',
            f'write_restart {files.restart}',
            *self._quench_lines(),
            'label end',
        ]
        return '\n'.join(lines) + '\n'

    def _structure_lines(self, data: str) -> list[str]:
        lines = structure_commands(data, masses_of(self.elements))
        if not self.restart:
            return lines
        masses = [line for line in lines if line.startswith('mass ')]
        return ['units metal', 'box tilt large', f'read_restart {self.restart}', 'reset_timestep 0', *masses]

    def _velocity_lines(self) -> list[str]:
        ensemble = self.ensemble
        create = f'velocity all create {ensemble.temperature:.16g} {ensemble.seed} mom yes rot no dist gaussian'
        return [] if self.restart else [create]

    def _watch_lines(self, dump: str) -> list[str]:
        every = self.watch.check_interval
        return [
            f'fix gam all pair {every} {GRADE_STYLE} gamma 1',
            f'compute cmax all reduce max {GRADE_COLUMN}',
            f'variable dump_skip equal "{GRADE_MAX_COLUMN} < {self.watch.gamma_select:.16g}"',
            f'dump ext all custom {every} {dump} id type x y z fx fy fz {GRADE_COLUMN}',
            'dump_modify ext skip v_dump_skip sort id format float %.12g',
        ]

    def _temperature_lines(self) -> list[str]:
        hot = HOT * max(self.ensemble.temperature, self.ensemble.final_temperature)
        return ['variable vhot equal temp', self._halt(TEMPERATURE_HALT, f'v_vhot > {hot:.16g}')]

    def _grade_lines(self) -> list[str]:
        return [f'variable vmax equal {GRADE_MAX_COLUMN}', self._halt(GRADE_HALT, f'v_vmax > {self.watch.gamma_halt:.16g}')]

    def _bond_lines(self) -> Iterator[str]:
        """Yield what counts the neighbours within the shortest distance allowed, each pair of elements with its own distance."""
        if self.watch.min_bond_fraction == 0:
            return
        radii = [float(covalent_radii[atomic_numbers[element]]) for element in self.elements]
        kinds = range(1, len(radii) + 1)
        pairs = list(combinations_with_replacement(kinds, 2))
        yield from (f'group kind{kind} type {kind}' for kind in kinds)
        for i, j in pairs:
            distance = self.watch.min_bond_fraction * (radii[i - 1] + radii[j - 1])
            yield f'compute near{i}_{j} kind{i} coord/atom cutoff {distance:.16g} {j}'
            yield f'compute sum{i}_{j} kind{i} reduce sum c_near{i}_{j}'
        yield f'variable vclose equal {"+".join(f"c_sum{i}_{j}" for i, j in pairs)}'
        yield self._halt(BOND_HALT, 'v_vclose > 0.5')

    def _halt(self, name: str, condition: str) -> str:
        return f'fix {name} all halt {self.watch.check_interval} {condition} error soft message yes'

    def _quench_lines(self) -> list[str]:
        if self.quench.kind == 'cool':
            cooling = self._integrator(self.ensemble.final_temperature, self.quench.temperature)
            return ['unfix int', cooling, f'run {self.quench.steps}']
        if self.quench.kind == 'minimize':
            return [
                'unfix int',
                'velocity all set 0.0 0.0 0.0',
                f'minimize 0.0 {RELAXED} {self.quench.steps} {10 * self.quench.steps}',
                # Nothing moves the atoms any more: this goes to the next step at which the grade is computed.
                f'run $({self.watch.check_interval}-step%{self.watch.check_interval})',
            ]
        return []

    def _integrator(self, first: float, last: float) -> str:
        step = self.ensemble.timestep / PICOSECOND
        thermostat = f'temp {first:.16g} {last:.16g} {THERMOSTAT_STEPS * step:.16g}'
        if self.ensemble.pressure is None:
            return f'fix int all nvt {thermostat}'
        pressure = f'{self.ensemble.pressure / BAR:.16g}'
        barostat = f'{BAROSTATS[self.ensemble.barostat]} {pressure} {pressure} {BAROSTAT_STEPS * step:.16g}'
        return f'fix int all npt {thermostat} {barostat}'
