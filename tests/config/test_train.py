"""`TrainingConfig`: bounds, and defaults that the trainer accepts."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_mlip_autopipe.common.pod import BASES
from aiida_mlip_autopipe.config.train import TrainingConfig
from aiida_mlip_autopipe.science.pod.fit import PodSettings
from tests.config.settings import config_with, mistakes_in


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('cutoff', 1, 'greater than or equal to 2 (Å'),
        ('cutoff', 13, 'less than or equal to 12 (Å'),
        ('energy_weight', 0, 'greater than 0'),
        ('force_weight', 0, 'greater than 0'),
        ('stress_weight', -1, 'greater than or equal to 0'),
        ('basis', 'XL', "'S', 'M', 'L' or 'auto'"),
        ('core_repulsion', 'maybe', 'a valid boolean'),
        ('trainer', 1, 'a valid string'),
    ],
)
def test_out_of_bounds(field: str, value: Any, said: str) -> None:
    (line,) = mistakes_in({f'train.{field}': value})
    assert line.startswith(f'train.{field}: got {value!r}; input should be {said}')


@pytest.mark.parametrize(
    ('value', 'said'), [(0, 'greater than 0'), (1, 'less than 1'), ('x', 'a valid number, unable to parse string as a number')]
)
def test_ridge_out_of_bounds(value: Any, said: str) -> None:
    (line,) = mistakes_in({'train.ridge': value})
    assert line.startswith(f"train.ridge: got {value!r}; input should be 'auto' or {said} (relative ridge")


@pytest.mark.parametrize('value', ['auto', 1e-6])
def test_ridge(value: Any) -> None:
    assert config_with({'train.ridge': value}).train.ridge == value


@pytest.mark.parametrize('basis', [*BASES, 'auto'])
def test_every_basis_of_the_trainer(basis: str) -> None:
    config = TrainingConfig(basis=basis)
    assert PodSettings(elements=('Cu',), cutoff=config.cutoff, basis=config.basis).basis == basis
