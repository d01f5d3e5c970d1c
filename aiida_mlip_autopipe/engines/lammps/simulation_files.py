"""Input and output of a LAMMPS that simulates several structures, one after the other, in one run of the program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.engines.lammps.data import structure_commands
from aiida_mlip_autopipe.engines.lammps.dump import read_dump, structure_of
from aiida_mlip_autopipe.engines.lammps.log import LammpsLog, RunEnd, ThermoBlock, read_log
from aiida_mlip_autopipe.engines.lammps.simulation import SAMPLE_STEPS, Averages, Simulation

SCRIPT: Final = 'in.simulation'
THERMO: Final = 'step temp pe press vol'


def data_file(index: int) -> str:
    """Return the name of the data file of a structure."""
    return f'start_{index:03d}.data'


def dump_file(index: int) -> str:
    """Return the name of the dump of the structure at its end."""
    return f'end_{index:03d}.dump'


def simulation_script(n_frames: int, pair_lines: Sequence[str], masses: Sequence[float], simulation: Simulation) -> str:
    """Return the complete input, to be used as `lmp -in in.simulation`.

    :param n_frames: number of structures, whose data files lie beside it.
    :param pair_lines: the lines that load the potential.
    :param masses: u (g/mol), in the order of the types.
    """
    lines = [f'# {n_frames} structures: {simulation.kind}']
    for index in range(n_frames):
        lines += ['clear', *structure_commands(data_file(index), masses), *pair_lines, *_run_lines(simulation)]
        lines.append(f'write_dump all custom {dump_file(index)} id type x y z modify sort id format float %.15g')
    return '\n'.join(lines) + '\n'


def _run_lines(simulation: Simulation) -> list[str]:
    head = [
        *simulation.setup_lines,
        f'thermo {SAMPLE_STEPS}',
        f'thermo_style custom {THERMO}',
        'thermo_modify format float %.15g',
    ]
    runs = (
        [f'run {simulation.equilibration}', f'run {simulation.steps}'] if simulation.is_dynamics else [simulation.minimize_line]
    )
    return [*head, *runs]


def read_averages(text: str, n_frames: int, simulation: Simulation) -> list[Averages]:
    """Return what the standard output says of each structure.

    :raises FormatError: LAMMPS did not come to its end; the message holds its error.
    """
    log = read_log(text)
    per_frame = 2 if simulation.is_dynamics else 1
    if log.end is not RunEnd.FINISHED or len(log.thermo) != per_frame * n_frames:
        done = len(log.thermo) // per_frame
        raise FormatError(f'LAMMPS ended after {done} of {n_frames} structures ({log.end}): {log.message or "without a message"}')
    return [_averages(block, simulation) for block in log.thermo[per_frame - 1 :: per_frame]]


def lacks_style(log: LammpsLog) -> bool:
    """Whether LAMMPS ended because it has not the pair style of the potential."""
    return log.end is RunEnd.STYLE_MISSING


def read_end(text: str, start: Atoms, elements: Sequence[str]) -> Atoms:
    """Return the structure at its end, in the orientation of its start, of the dump that LAMMPS wrote then.

    :raises FormatError: the dump has no frame, or other atoms.
    """
    frames = read_dump(text, 1)
    if not frames:
        raise FormatError('the dump of the end of a simulation holds no structure')
    return structure_of(frames[-1], start, elements)


def _averages(block: ThermoBlock, simulation: Simulation) -> Averages:
    columns = {name: block.rows[:, block.columns.index(name)] for name in ('Temp', 'PotEng', 'Volume')}
    # The first row of a run is the state that it began with.
    rows = slice(1, None) if simulation.is_dynamics else slice(-1, None)
    temperature, energy, volume = (float(np.mean(columns[name][rows])) for name in ('Temp', 'PotEng', 'Volume'))
    return Averages(volume, temperature if simulation.is_dynamics else 0.0, energy, len(columns['Temp'][rows]))
