"""Lines of LAMMPS that runs of molecular dynamics share, whatever the potential and the program that holds LAMMPS."""

from __future__ import annotations

from typing import Final

from aiida_mlip_autopipe.common.units import BAR, PICOSECOND
from aiida_mlip_autopipe.science.md.records import BAROSTATS, MdSettings

THERMOSTAT_STEPS: Final = 100
BAROSTAT_STEPS: Final = 1000
"""Damping times in time steps, as LAMMPS's manual advises."""

HOT: Final = 10.0
"""A run is stopped when its temperature exceeds the target by this factor, also while it warms up: the atoms fly apart."""

RELAXED: Final = 1e-3
"""eV/Å, norm of all forces at which a relaxation ends."""

RESTARTS: Final = 5
"""Restart files that a run writes on the way."""


def velocity_line(temperature: float, seed: int) -> str:
    """Return the line that draws velocities.

    :param temperature: K.
    """
    return f'velocity all create {temperature:.16g} {seed} mom yes rot no dist gaussian'


def timestep_line(timestep: float) -> str:
    """Return the line of a time step given in fs."""
    return f'timestep {timestep / PICOSECOND:.16g}'


def ensemble_line(
    temperatures: tuple[float, float], timestep: float, pressure: float | None = None, barostat: str = 'isotropic'
) -> str:
    """Return the line of the thermostat, and of the barostat where there is a pressure.

    :param temperatures: K, at the first and at the last step.
    :param timestep: fs.
    :param pressure: eV/Å³; None keeps the cell.
    :param barostat: a key of :data:`BAROSTATS`.
    """
    first, last = temperatures
    step = timestep / PICOSECOND
    thermostat = f'temp {first:.16g} {last:.16g} {THERMOSTAT_STEPS * step:.16g}'
    if pressure is None:
        return f'fix ensemble all nvt {thermostat}'
    bar = f'{pressure / BAR:.16g}'
    return f'fix ensemble all npt {thermostat} {BAROSTATS[barostat]} {bar} {bar} {BAROSTAT_STEPS * step:.16g}'


def run_line(settings: MdSettings) -> str:
    """Return the line of thermostat and barostat of a run."""
    return ensemble_line(
        (settings.temperature, settings.final_temperature), settings.timestep, settings.pressure, settings.barostat
    )


def cooling_lines(settings: MdSettings) -> list[str]:
    """Return the lines that cool the atoms after a run."""
    temperatures = (settings.final_temperature, settings.quench_temperature)
    return [
        'unfix ensemble',
        ensemble_line(temperatures, settings.timestep, settings.pressure, settings.barostat),
        f'run {settings.quench_steps}',
    ]


def minimize_line(tolerance: float, steps: int) -> str:
    """Return the line that relaxes the atoms in their cell.

    :param tolerance: eV/Å.
    """
    return f'minimize 0.0 {tolerance:.16g} {steps} {10 * steps}'
