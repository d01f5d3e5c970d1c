"""What LAMMPS is told to do."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.lammps.simulation import Averages, Simulation, SimulationKind


def test_a_relaxation() -> None:
    simulation = Simulation(SimulationKind.RELAX, steps=200, force_tolerance=1e-3)
    assert not simulation.is_dynamics
    assert simulation.setup_lines == ['min_modify norm max']
    assert simulation.minimize_line == 'minimize 0.0 0.001 200 2000'


def test_constant_volume() -> None:
    assert Simulation(SimulationKind.NVT, temperature=300, timestep=2, seed=5).setup_lines == [
        'velocity all create 300 5 mom yes rot no dist gaussian',
        'fix ensemble all nvt temp 300 300 0.2',
        'timestep 0.002',
    ]


@pytest.mark.parametrize(('anisotropic', 'axes'), [(False, 'iso'), (True, 'aniso')])
def test_constant_pressure(anisotropic: bool, axes: str) -> None:
    simulation = Simulation(SimulationKind.NPT, temperature=600, timestep=1, anisotropic=anisotropic)
    assert f'fix ensemble all npt temp 600 600 0.1 {axes} 0 0 1' in simulation.setup_lines


def test_plain_values_come_back() -> None:
    simulation = Simulation(SimulationKind.NPT, temperature=600, equilibration=10, anisotropic=True)
    assert simulation.to_mapping()['kind'] == 'npt'
    assert Simulation.from_mapping(simulation.to_mapping()) == simulation
    assert Averages(1.0, 2.0, 3.0, 4).to_dict() == {'volume': 1.0, 'temperature': 2.0, 'energy': 3.0, 'samples': 4}


@pytest.mark.parametrize(
    ('values', 'told'),
    [
        ({'kind': 'nve'}, "kind: got 'nve'; must be one of relax, nvt, npt"),
        ({}, 'kind: got None'),
        ({'kind': 'nvt', 'temperature': 0}, 'temperature: got 0; must be more than 0'),
        ({'kind': 'nvt', 'steps': 5}, 'steps: got 0 and 5'),
        ({'kind': 'nvt', 'seed': 0}, 'seed: got 0; must be 1 to 2147483647'),
        ({'kind': 'nvt', 'pressure': 1}, 'pressure: unknown key'),
    ],
)
def test_mistakes_are_told(values: dict, told: str) -> None:
    with pytest.raises(InputError) as caught:
        Simulation.from_mapping(values)
    assert told in str(caught.value)
