"""LAMMPS text that does not depend on the potential: data files and complete input files in `units metal`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from ase.io.lammpsdata import write_lammps_data

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.lammps.md_text import ensemble_line, timestep_line, velocity_line

THERMO_INTERVAL = 100
"""Steps between two lines of output."""


@dataclass(frozen=True)
class NvtRun:
    """What one run at constant volume needs.

    :param temperature: K.
    :param timestep: fs.
    :param steps: number of time steps.
    :param seed: of the initial velocities, 1 to 2³¹ - 1.
    """

    temperature: float
    timestep: float
    steps: int
    seed: int


def masses_of(elements: Sequence[str]) -> list[float]:
    """Return the standard atomic masses in u (g/mol), in the order of the elements."""
    return [float(atomic_masses[atomic_numbers[element]]) for element in elements]


def data_text(atoms: Atoms, elements: Sequence[str]) -> str:
    """Return the data file of a periodic structure for `atom_style atomic`, with a type for each element in the given order.

    LAMMPS wants a lower triangular cell, so the structure is rotated; atoms are wrapped into the cell.

    :raises InputError: the structure is not periodic, or has an element that is not among `elements`.
    """
    if not atoms.pbc.all():
        raise InputError(f'a LAMMPS data file is written for periodic structures only, pbc is {atoms.pbc.tolist()}')
    if unknown := set(atoms.symbols) - set(elements):
        raise InputError(f'elements {sorted(unknown)} of the structure are not among {list(elements)}')
    plain = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    plain.wrap()
    text = io.StringIO()
    write_lammps_data(text, plain, specorder=list(elements), units='metal', atom_style='atomic', force_skew=True)
    return text.getvalue()


def structure_commands(data_file: str, masses: Sequence[float]) -> list[str]:
    """Return the lines that read a periodic structure from a data file.

    :param masses: u (g/mol), in the order of the types.
    """
    return [
        'units metal',
        'atom_style atomic',
        'atom_modify map array',
        'boundary p p p',
        'box tilt large',
        f'read_data {data_file}',
        *(f'mass {index} {mass:.16g}' for index, mass in enumerate(masses, start=1)),
    ]


def nvt_input(data_file: str, pair_lines: Sequence[str], masses: Sequence[float], run: NvtRun) -> str:
    """Return a complete input for a run at constant volume, to be used as `lmp -in in.nvt`.

    :param pair_lines: the lines that load the potential.
    :param masses: u (g/mol), in the order of the types.
    """
    lines = [
        *structure_commands(data_file, masses),
        *pair_lines,
        velocity_line(run.temperature, run.seed),
        ensemble_line((run.temperature, run.temperature), run.timestep),
        timestep_line(run.timestep),
        f'thermo {THERMO_INTERVAL}',
        'thermo_style custom step temp pe etotal press vol',
        f'run {run.steps}',
    ]
    return '\n'.join(lines) + '\n'
