import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.common.settings import explain
from aiida_mlip_autopipe.science.checks.settings import ChecksConfig
from aiida_mlip_autopipe.science.checks.training import AGREEMENT, GAMMA_TOLERANCE
from aiida_mlip_autopipe.science.trainer import Trainer


def mistake(**values):
    with pytest.raises(ValidationError) as caught:
        ChecksConfig.model_validate(values)
    return explain(caught.value, ChecksConfig)


def test_defaults_are_what_the_checks_are_known_for():
    config = ChecksConfig()
    assert (config.compared_frames, config.gamma_max, config.nve_time) == (20, GAMMA_TOLERANCE, 1000.0)
    assert config.error_agreement == AGREEMENT


def test_it_is_a_section_of_the_training():
    assert Trainer.of({'checks': {'nve_temperature': 100}}).checks.nve_temperature == 100


def test_every_field_is_described():
    assert all(field.description for field in ChecksConfig.model_fields.values())


@pytest.mark.parametrize('name', [n for n, field in ChecksConfig.model_fields.items() if n != 'wall_fall'])
@pytest.mark.parametrize('value', [0, -1, 1e9])
def test_every_number_has_bounds(name, value):
    assert mistake(**{name: value}).startswith(f'{name}: got {value}')


@pytest.mark.parametrize('value', [-0.1, 2])
def test_the_fall_of_a_wall_has_bounds(value):
    assert mistake(wall_fall=value).startswith('wall_fall: got ')


def test_a_timestep_that_is_too_long():
    assert mistake(nve_timestep=6.0).startswith('nve_timestep: got 6.0; ')


def test_a_misspelt_key():
    assert mistake(nve_temprature=1).startswith("nve_temprature: unknown key; did you mean 'nve_temperature'?")
