"""The section `train`: bounds, defaults that the fit accepts, and names that are unknown or gone."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_mlip_autopipe.engines.ace.fit import AceSettings
from aiida_mlip_autopipe.engines.pod.files import BASIS_SETS
from aiida_mlip_autopipe.engines.pod.fit import PodSettings
from aiida_mlip_autopipe.engines.pod.trainer import PodTrainer
from aiida_mlip_autopipe.science.linear.settings import LinearSettings
from aiida_mlip_autopipe.science.trainer import Trainer
from tests.config.settings import config_with, mistakes_in

ACE = {'train.trainer': 'mlip_autopipe.ace'}


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('cutoff', 1, 'greater than or equal to 2 (Å'),
        ('cutoff', 13, 'less than or equal to 12 (Å'),
        ('force_weight', 0, 'greater than 0 (weight of a force component, per eV/Å)'),
        ('force_weight', 'auto', 'a valid number'),
        ('basis', 'XL', "'S', 'M', 'L' or 'auto'"),
        ('core_repulsion', 'maybe', 'a valid boolean'),
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


@pytest.mark.parametrize(
    ('field', 'said'), [('energy_weight', 'greater than 0'), ('stress_weight', 'greater than or equal to 0')]
)
@pytest.mark.parametrize('value', [-1, 'x'])
def test_weights_out_of_bounds(field: str, value: Any, said: str) -> None:
    (line,) = mistakes_in({f'train.{field}': value})
    bound = said if value != 'x' else 'a valid number, unable to parse string as a number'
    assert line.startswith(f"train.{field}: got {value!r}; input should be 'auto' or {bound} (weight of ")
    assert line.endswith('auto: from its noise by evidence)')


def test_an_energy_weight_of_zero() -> None:
    (line,) = mistakes_in({'train.energy_weight': 0})
    assert line.startswith("train.energy_weight: got 0; input should be 'auto' or greater than 0 ")


@pytest.mark.parametrize(
    ('field', 'values'),
    [('energy_weight', ['auto', 12.0, 0.5]), ('force_weight', [1.0, 3]), ('stress_weight', ['auto', 0, 100.0])],
)
def test_weights(field: str, values: list[Any]) -> None:
    for value in values:
        found = getattr(config_with({f'train.{field}': value}).train, field)
        assert found == value
        assert type(found) is (str if value == 'auto' else float)


def test_defaults_of_the_weights_are_those_of_the_fit() -> None:
    """The noise of the energies is not sought by default: the evidence would trade them for forces (science.linear.settings)."""
    config, own = PodTrainer(), LinearSettings(elements=('Cu',), cutoff=4.5)
    assert (config.energy_weight, config.force_weight) == (own.energy_weight, own.force_weight)
    assert (config.stress_weight, own.stress_weight) == ('auto', None)
    assert (config.ridge, own.ridge) == ('auto', None)


@pytest.mark.parametrize('trainer', ['mlip_autopipe.pod', 'mlip_autopipe.ace', 'mlip_autopipe.pacemaker'])
def test_a_dump_can_be_loaded(trainer: str) -> None:
    config = Trainer.of({'trainer': trainer})
    assert Trainer.of(config.model_dump(mode='json')) == config
    assert Trainer.of(config.model_dump()) == config


@pytest.mark.parametrize('functions', ['auto', 10, 2000])
def test_functions_of_ace(functions: int | str) -> None:
    config = config_with({**ACE, 'train.functions': functions}).train
    assert config.functions == functions
    assert AceSettings(elements=('Cu',), cutoff=config.cutoff, functions=functions).functions == functions


@pytest.mark.parametrize(
    ('value', 'said'),
    [
        (9, 'greater than or equal to 10'),
        (2001, 'less than or equal to 2000'),
        ('many', 'a valid integer, unable to parse string as an integer'),
        (20.5, 'a valid integer, got a number with a fractional part'),
    ],
)
def test_functions_of_ace_out_of_bounds(value: Any, said: str) -> None:
    (line,) = mistakes_in({**ACE, 'train.functions': value})
    assert line.startswith(f"train.functions: got {value!r}; input should be 'auto' or {said} (basis functions per element")


@pytest.mark.parametrize('basis', [*BASIS_SETS, 'auto'])
def test_every_basis_of_the_trainer(basis: str) -> None:
    config = PodTrainer(basis=basis)
    assert PodSettings(elements=('Cu',), cutoff=config.cutoff, basis=config.basis).basis == basis


def test_an_unknown_trainer() -> None:
    (line,) = mistakes_in({'train.trainer': 'mlip_autopipe.podd'})
    assert line == (
        "train.trainer: got 'mlip_autopipe.podd'; did you mean 'mlip_autopipe.pod'? "
        'registered here: mlip_autopipe.ace, mlip_autopipe.pacemaker, mlip_autopipe.pod'
    )


@pytest.mark.parametrize(('section', 'said'), [('ace', 'its key functions stands in'), ('pacemaker', 'its keys stand in')])
def test_sections_that_are_gone(section: str, said: str) -> None:
    (line,) = mistakes_in({'train.trainer': f'mlip_autopipe.{section}', f'train.{section}': {}})
    assert line.startswith(f'train.{section}: this key is gone; {said}')


@pytest.mark.parametrize(('trainer', 'key'), [('ace', 'basis'), ('pod', 'functions')])
def test_a_key_of_another_trainer(trainer: str, key: str) -> None:
    (line,) = mistakes_in({'train.trainer': f'mlip_autopipe.{trainer}', f'train.{key}': 'auto'})
    assert line.startswith(f'train.{key}: unknown key; ')
