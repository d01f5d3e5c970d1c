"""Lines that runs share: units, damping times, and which ensemble they make."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.engines.lammps.md_text import (
    cooling_lines,
    ensemble_line,
    minimize_line,
    run_line,
    timestep_line,
    velocity_line,
)
from aiida_mlip_autopipe.science.md.records import MdSettings

RAMP = MdSettings(300.0, 1000, 7, timestep=2.0, temperature_end=900.0, quench='cool', quench_steps=50, quench_temperature=20.0)


def test_times_are_in_picoseconds() -> None:
    assert timestep_line(2.0) == 'timestep 0.002'
    assert ensemble_line((300.0, 300.0), 2.0) == 'fix ensemble all nvt temp 300 300 0.2'


@pytest.mark.parametrize(('barostat', 'word'), [('isotropic', 'iso'), ('anisotropic', 'aniso')])
def test_a_pressure_is_written_in_bar(barostat: str, word: str) -> None:
    line = ensemble_line((300.0, 300.0), 2.0, 1.0 * GPA, barostat)
    assert line == f'fix ensemble all npt temp 300 300 0.2 {word} 10000 10000 2'
    assert ensemble_line((300.0, 300.0), 2.0, 0.0, barostat).endswith(f' {word} 0 0 2')


def test_cooling_begins_where_the_run_ends() -> None:
    assert run_line(RAMP) == 'fix ensemble all nvt temp 300 900 0.2'
    assert cooling_lines(RAMP) == ['unfix ensemble', 'fix ensemble all nvt temp 900 20 0.2', 'run 50']


def test_velocities_and_relaxations() -> None:
    assert velocity_line(300.0, 7) == 'velocity all create 300 7 mom yes rot no dist gaussian'
    assert minimize_line(0.001, 200) == 'minimize 0.0 0.001 200 2000'
