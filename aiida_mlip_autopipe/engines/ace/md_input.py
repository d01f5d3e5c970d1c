"""Input of LAMMPS for MD that watches the grade of `pace/extrapolation`: names of the files and the text.

Names of computes and dumps are those of the recipe in Pacemaker's documentation.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

from ase.data import atomic_numbers, covalent_radii

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.ace.files import GRADE_STYLE
from aiida_mlip_autopipe.engines.lammps import md_text
from aiida_mlip_autopipe.engines.lammps.data import masses_of, structure_commands
from aiida_mlip_autopipe.formats.restarts import restart_file
from aiida_mlip_autopipe.science.md.records import MdSettings

GRADE_COLUMN: Final = 'f_gam'
GRADE_MAX_COLUMN: Final = 'c_cmax'
"""Per-atom grade in the dump; largest of all atoms in the thermodynamic output."""

GRADE_HALT: Final = 'stop'
TEMPERATURE_HALT: Final = 'hot'
BOND_HALT: Final = 'close'
"""Identifiers of the `fix halt` of each quantity that is watched."""


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
    :param settings: conditions of the run; samples, journal and the windows of temperature and volume are not looked at.
    :raises InputError: the lines do not load such a pair style.
    """

    elements: tuple[str, ...]
    pair_lines: tuple[str, ...]
    settings: MdSettings

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
            *structure_commands(files.data, masses_of(self.elements)),
            *self.pair_lines,
            'neighbor 1.0 bin',
            'neigh_modify delay 0 every 1 check yes',
            md_text.timestep_line(self.settings.timestep),
            md_text.velocity_line(self.settings.temperature, self.settings.seed),
            *self._watch_lines(files.dump),
            *self._temperature_lines(),
            *self._bond_lines(),
            *self._grade_lines(),
            md_text.run_line(self.settings),
            f'thermo {self.settings.check_interval}',
            f'thermo_style custom step temp pe ke etotal press vol {GRADE_MAX_COLUMN}',
            'thermo_modify format float %.12g flush yes',  # a run that is killed keeps what it printed
            'run 0',
            f'if "$({GRADE_MAX_COLUMN}) > {self.settings.gamma_halt:.16g}" then "jump SELF end"',
            f'restart {max(1, self.settings.steps // md_text.RESTARTS)} {files.rolling}',
            f'run {self.settings.steps}',
            'restart 0',
            f'write_restart {files.restart}',
            *self._quench_lines(),
            'label end',
        ]
        return '\n'.join(lines) + '\n'

    def _watch_lines(self, dump: str) -> list[str]:
        every = self.settings.check_interval
        return [
            f'fix gam all pair {every} {GRADE_STYLE} gamma 1',
            f'compute cmax all reduce max {GRADE_COLUMN}',
            f'variable dump_skip equal "{GRADE_MAX_COLUMN} < {self.settings.gamma_select:.16g}"',
            f'dump ext all custom {every} {dump} id type x y z fx fy fz {GRADE_COLUMN}',
            'dump_modify ext skip v_dump_skip sort id format float %.12g',
        ]

    def _temperature_lines(self) -> list[str]:
        hot = md_text.HOT * max(self.settings.temperature, self.settings.final_temperature)
        return ['variable vhot equal temp', self._halt(TEMPERATURE_HALT, f'v_vhot > {hot:.16g}')]

    def _grade_lines(self) -> list[str]:
        return [f'variable vmax equal {GRADE_MAX_COLUMN}', self._halt(GRADE_HALT, f'v_vmax > {self.settings.gamma_halt:.16g}')]

    def _bond_lines(self) -> Iterator[str]:
        """Yield what counts the neighbours within the shortest distance allowed, each pair of elements with its own distance."""
        if self.settings.min_bond_fraction == 0:
            return
        radii = [float(covalent_radii[atomic_numbers[element]]) for element in self.elements]
        kinds = range(1, len(radii) + 1)
        pairs = list(combinations_with_replacement(kinds, 2))
        yield from (f'group kind{kind} type {kind}' for kind in kinds)
        for i, j in pairs:
            distance = self.settings.min_bond_fraction * (radii[i - 1] + radii[j - 1])
            yield f'compute near{i}_{j} kind{i} coord/atom cutoff {distance:.16g} {j}'
            yield f'compute sum{i}_{j} kind{i} reduce sum c_near{i}_{j}'
        yield f'variable vclose equal {"+".join(f"c_sum{i}_{j}" for i, j in pairs)}'
        yield self._halt(BOND_HALT, 'v_vclose > 0.5')

    def _halt(self, name: str, condition: str) -> str:
        return f'fix {name} all halt {self.settings.check_interval} {condition} error soft message yes'

    def _quench_lines(self) -> list[str]:
        if self.settings.quench == 'cool':
            return md_text.cooling_lines(self.settings)
        if self.settings.quench == 'minimize':
            return [
                'unfix ensemble',
                'velocity all set 0.0 0.0 0.0',
                md_text.minimize_line(md_text.RELAXED, self.settings.quench_steps),
                # Nothing moves the atoms any more: this goes to the next step at which the grade is computed.
                f'run $({self.settings.check_interval}-step%{self.settings.check_interval})',
            ]
        return []
