"""Settings of the convergence study: series around the configured value, bounds, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_mlip_autopipe.config.converge import ConvergeConfig
from tests.config.settings import config_with, mistakes_in


def test_a_configuration_without_the_section_has_its_defaults() -> None:
    assert config_with({}).converge == ConvergeConfig()


def test_series_by_default_are_multiples_of_the_configured_value() -> None:
    assert ConvergeConfig().cutoff_series(40) == [30, 40, 50, 60, 80]
    assert ConvergeConfig().distance_series(0.2) == [0.3, 0.2, 0.15, 0.12, 0.1]


def test_series_by_default_stay_within_bounds() -> None:
    assert ConvergeConfig().cutoff_series(400) == [300, 400, 500]
    assert max(ConvergeConfig().distance_series(1.9)) == 2


def test_given_series_are_sorted_with_the_configured_value_among_them() -> None:
    config = ConvergeConfig(cutoffs_wfc=[60, 30], kpoints_distances=[0.1, 0.4])
    assert config.cutoff_series(40) == [30, 40, 60]
    assert config.cutoff_series(30) == [30, 60]
    assert config.distance_series(0.2) == [0.4, 0.2, 0.1]


def test_the_configured_value_may_be_the_tightest() -> None:
    assert ConvergeConfig(cutoffs_wfc=[30, 50]).cutoff_series(90) == [30, 50, 90]


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('cutoffs_wfc', [40], 'at least 2 items'),
        ('cutoffs_wfc', [], 'at least 2 items'),
        ('cutoffs_wfc', [40, 30, 40], 'lists 40 more than once'),
        ('kpoints_distances', [0.3], 'at least 2 items'),
        ('kpoints_distances', [0.3, 0.3], 'lists 0.3 more than once'),
    ],
)
def test_series_that_are_none(field: str, value: list[float], said: str) -> None:
    (line,) = mistakes_in({f'converge.{field}': value})
    assert line.startswith(f'converge.{field}: got {value!r};')
    assert said in line
    assert ('Ry, cutoffs' if field == 'cutoffs_wfc' else '1/Å, distances') in line


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('cutoffs_wfc', [0, 30], 'cutoffs_wfc.0: got 0; input should be greater than 0'),
        ('cutoffs_wfc', [30, 900], 'cutoffs_wfc.1: got 900; input should be less than or equal to 500'),
        ('kpoints_distances', [0.3, 0], 'kpoints_distances.1: got 0; input should be greater than 0'),
        ('kpoints_distances', [3, 0.2], 'kpoints_distances.0: got 3; input should be less than or equal to 2'),
        ('target_energy', 0, 'target_energy: got 0; input should be greater than 0 (meV/atom'),
        ('target_force', -1, 'target_force: got -1; input should be greater than 0 (meV/Å'),
        ('target_stress', 0, 'target_stress: got 0; input should be greater than 0 (GPa'),
        ('max_structures', 2, 'max_structures: got 2; input should be greater than or equal to 3'),
    ],
)
def test_bounds(field: str, value: Any, said: str) -> None:
    (line,) = mistakes_in({f'converge.{field}': value})
    assert line.startswith(f'converge.{said}')


def test_the_stress_need_not_be_judged() -> None:
    assert config_with({'converge.target_stress': None}).converge.target_stress is None
