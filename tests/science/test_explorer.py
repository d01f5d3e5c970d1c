"""`LammpsMd`: thresholds, temperatures and intervals that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.engines.lammps.explorer import LammpsMd
from aiida_mlip_autopipe.science.explorer import LONG_TIMESTEP, MAX_TIMESTEP
from tests.config.settings import config_with, mistakes_in


class TestOrder:
    @pytest.mark.parametrize('halt', [2.0, 5.0])
    def test_thresholds_of_the_grade(self, halt: float) -> None:
        assert mistakes_in({'explore.gamma_select': 5, 'explore.gamma_halt': halt}) == [
            f'explore.gamma_halt {halt:g} must be larger than gamma_select 5'
        ]

    @pytest.mark.parametrize('temperatures', [[900.0, 300.0], [300.0, 300.0], [300.0, 900.0, 600.0]])
    def test_temperatures_that_do_not_rise(self, temperatures: list[float]) -> None:
        assert mistakes_in({'explore.temperatures': temperatures}) == [f'explore.temperatures must rise, got {temperatures}']

    def test_trajectory_that_is_never_looked_at(self) -> None:
        assert mistakes_in({'explore.check_interval': 51, 'explore.steps': 50}) == [
            'explore.check_interval 51 must not exceed steps 50'
        ]
        assert config_with({'explore.check_interval': 50, 'explore.steps': 50}).explore.steps == 50


@pytest.mark.parametrize('temperature', [0, -300])
def test_temperature_that_is_not_positive(temperature: float) -> None:
    assert mistakes_in({'explore.temperatures': [temperature]}) == [
        f'explore.temperatures.0: got {temperature}; input should be greater than 0 '
        '(K, rising: the ladder; every start runs at each of them)'
    ]


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('starts', 0, 'input should be greater than 0'),
        ('temperatures', [], 'list should have at least 1 item'),
        ('pressure', -80, 'input should be greater than or equal to -50 (GPa'),
        ('pressure', 1001, 'input should be less than or equal to 1000 (GPa'),
        ('pressure', 'high', 'input should be a valid number'),
        ('steps', 0, 'input should be greater than 0'),
        ('timestep', 0, 'input should be greater than 0 (fs; above 5 fs there is a warning)'),
        ('timestep', 2 * MAX_TIMESTEP, 'input should be less than or equal to 10 (fs; above 5 fs there is a warning)'),
        ('check_interval', 0, 'input should be greater than 0'),
        ('gamma_select', 0.9, 'input should be greater than or equal to 1'),
        ('gamma_halt', 1, 'input should be greater than 1'),
        ('max_candidates', 0, 'input should be greater than 0'),
        ('max_atoms', 0, 'input should be greater than 0'),
        ('temperature_end', 0, 'input should be greater than 0'),
        ('temperature_end', -5, 'input should be greater than 0'),
        ('steps', -1, 'input should be greater than 0'),
        ('pressures', [], 'list should have at least 1 item'),
        ('barostat', 'triclinic', "input should be 'isotropic' or 'anisotropic'"),
        ('quench', 'freeze', "input should be 'none', 'minimize' or 'cool'"),
        ('quench_steps', 0, 'input should be greater than 0'),
        ('quench_temperature', 0, 'input should be greater than 0'),
        ('min_bond_fraction', 1, 'input should be less than 1'),
        ('min_bond_fraction', -0.1, 'input should be greater than or equal to 0'),
        ('seeds', 0, 'input should be greater than or equal to 1'),
        ('seeds', 21, 'input should be less than or equal to 20'),
    ],
)
def test_out_of_bounds(field: str, value: Any, said: str) -> None:
    (line,) = mistakes_in({f'explore.{field}': value})
    assert line.startswith(f'explore.{field}: got {value!r}; {said}')


def test_supercell() -> None:
    (line,) = mistakes_in({'explore.supercell': [1, 0, 1]})
    assert line.startswith('explore.supercell.1: got 0; input should be greater than 0')
    assert config_with({'explore.supercell': [2, 1, 1]}).explore.supercell == (2, 1, 1)


def test_constant_volume() -> None:
    assert config_with({'explore.pressure': None}).explore.pressure is None
    assert LammpsMd().pressure == 0.0


def test_one_of_several_pressures_out_of_bounds() -> None:
    (line,) = mistakes_in({'explore.pressures': [0, 2000]})
    assert line.startswith('explore.pressures.1: got 2000; input should be less than or equal to 1000 (GPa')


@pytest.mark.parametrize(('pressure', 'pressures'), [(None, [0.0, 5.0]), (3.0, [0.0, 5.0])])
def test_pressures_that_contradict_each_other(pressure: float | None, pressures: list[float]) -> None:
    assert mistakes_in({'explore.pressure': pressure, 'explore.pressures': pressures}) == [
        f'explore.pressure {pressure} contradicts pressures {pressures}; give one of the two'
    ]


def test_pressures_that_repeat() -> None:
    assert mistakes_in({'explore.pressures': [5.0, 5.0]}) == ['explore.pressures must differ, got [5.0, 5.0]']


@pytest.mark.parametrize('pressure', [0.0, 5.0])
def test_pressure_beside_pressures(pressure: float) -> None:
    config = config_with({'explore.pressure': pressure, 'explore.pressures': [5.0, -1.0]}).explore
    assert config.pressures == [5.0, -1.0]
    assert LammpsMd.model_validate(config.model_dump(mode='json')) == config


@pytest.mark.parametrize(('end', 'begins'), [({}, 40), ({'explore.temperature_end': 30}, 30)])
def test_cooling_that_heats(end: dict[str, Any], begins: float) -> None:
    changes = {'explore.quench': 'cool', 'explore.temperatures': [40, 300], **end}
    assert mistakes_in(changes) == [f'explore.quench_temperature 50 must be lower than {begins}, where the cooling begins']
    assert config_with({**changes, 'explore.quench_temperature': 10}).explore.quench == 'cool'


def test_long_timestep_is_worth_a_warning() -> None:
    assert LammpsMd(timestep=LONG_TIMESTEP).warnings == []
    assert LammpsMd(timestep=6).warnings == [
        'explore.timestep: 6 fs is longer than 5 fs: '
        'vibrations may be integrated badly and trajectories stopped for that reason alone'
    ]


def test_defaults_are_plain_md() -> None:
    config = LammpsMd()
    assert (config.temperature_end, config.pressures, config.barostat, config.seeds, config.quench) == (
        None,
        None,
        'isotropic',
        1,
        'none',
    )
    assert config.warnings == []


def test_conditions_of_a_run_have_the_units_of_the_package() -> None:
    config = LammpsMd(pressure=2.0, steps=400, timestep=1.0, warmup=1000.0, gamma_select=3.0, volume_window=(0.5, 2.0))
    run = config.conditions(600.0, None, 5, journal='here')
    assert (run.temperature, run.pressure, run.seed, run.journal) == (600.0, 2.0 * GPA, 5, 'here')
    assert (run.steps, run.gamma_select, run.volume_window) == (400, 3.0, (0.5, 2.0))
    assert run.warmup == 100  # a quarter of the steps at most
    assert config.conditions(600.0, 1.0, 5).pressure == 1.0 * GPA
    assert LammpsMd(pressure=None).conditions(600.0, None, 5).pressure is None
