"""`InferenceConfig`: thresholds, temperatures and intervals that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_mlip_autopipe.config.explore import MAX_TIMESTEP, InferenceConfig
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
        '(K, rising; the next one runs only when none was stopped at the one before)'
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
        ('timestep', 0, 'input should be greater than 0 (fs)'),
        ('timestep', 2 * MAX_TIMESTEP, 'input should be less than or equal to 10 (fs)'),
        ('check_interval', 0, 'input should be greater than 0'),
        ('gamma_select', 0.9, 'input should be greater than or equal to 1'),
        ('gamma_halt', 1, 'input should be greater than 1'),
        ('max_candidates', 0, 'input should be greater than 0'),
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
    assert InferenceConfig().pressure == 0.0
