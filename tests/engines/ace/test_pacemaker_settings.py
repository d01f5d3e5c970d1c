"""`PacemakerTrainer`: bounds, and what Pacemaker would swallow."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.engines.ace.pacemaker_settings import NAME, PacemakerTrainer
from aiida_mlip_autopipe.science.trainer import Trainer
from tests.config.settings import changed, config_with, mistakes_in

PACEMAKER = {'train.trainer': NAME}


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('b_basis_size', 0, 'greater than 0'),
        ('batch_size', 0, 'greater than 0'),
        ('batch_size', -5, 'greater than 0'),
        ('max_iter', 0, 'greater than 0'),
        ('display_step', 1, 'greater than or equal to 2'),
        ('l1', -1e-8, 'greater than or equal to 0'),
        ('delta_spline', 0, 'greater than 0'),
        ('optimizer', 'FOO', "'BFGS', 'L-BFGS-B'"),
        ('ladder_type', 'size', "'body_order' or 'power_order'"),
        ('weighting', 'auto', "'uniform' or 'energy'"),
        ('bonds.ALL.radbase', 'Bessel', "'SBessel', 'ChebExpCos'"),
        ('bonds.ALL.dcut', 2.0, 'less than or equal to 1'),
        ('energy_weighting.lower_weight', 1.5, 'less than 1'),
        ('embeddings.ALL.ndensity', 0, 'greater than or equal to 1'),
    ],
)
def test_out_of_bounds(field: str, value: Any, said: str) -> None:
    (line,) = mistakes_in({**PACEMAKER, f'train.{field}': value})
    assert line.startswith(f'train.{field}: got {value!r}; input should be ')
    assert said in line


@pytest.mark.parametrize('value', [-0.1, 1.1, 'automatic'])
def test_kappa_out_of_bounds(value: Any) -> None:
    (line,) = mistakes_in({**PACEMAKER, 'train.kappa': value})
    assert line.startswith(f"train.kappa: got {value!r}; input should be 'auto' or ")


@pytest.mark.parametrize('value', [0, 0.3, 1, 'auto'])
def test_kappa(value: Any) -> None:
    assert PacemakerTrainer(kappa=value).kappa == value


@pytest.mark.parametrize('step', [None, 20, 0.02, (20, 0.02)])
def test_ladder_steps(step: Any) -> None:
    assert PacemakerTrainer(initial_potential='none', ladder_step=step).ladder_step == step


@pytest.mark.parametrize('step', [0, -3, 1.5, [20], [0.1, 20]])
def test_ladder_steps_out_of_bounds(step: Any) -> None:
    with pytest.raises(ValidationError, match='ladder_step'):
        PacemakerTrainer(ladder_step=step)


@pytest.mark.parametrize(
    ('place', 'key', 'near'),
    [
        ('', 'kapa', 'kappa'),
        ('', 'maxiter', 'max_iter'),
        ('bonds.ALL.', 'rcutt', ''),
        ('functions.ALL.', 'lmax_by_order', 'lmax_by_orders'),
        ('energy_weighting.', 'lower_energie', 'lower_energy'),
    ],
)
def test_a_misspelt_key_is_explained(place: str, key: str, near: str) -> None:
    (line,) = mistakes_in({**PACEMAKER, f'train.{place}{key}': 0.3})
    assert f'unknown key {key!r}; ' in line
    assert 'Pacemaker ignores keys that it does not know without a word' in line
    assert f'did you mean {near!r}? ' in line or not near


def test_a_combination_that_does_not_exist() -> None:
    (line,) = mistakes_in({**PACEMAKER, 'train.functions': {'AL': {}}})
    assert "'ALL', 'UNARY', 'BINARY'" in line


def test_orders_of_different_length() -> None:
    (line,) = mistakes_in({**PACEMAKER, 'train.functions': {'ALL': {'nradmax_by_orders': [5, 2], 'lmax_by_orders': [0]}}})
    assert 'nradmax_by_orders has 2 body orders and lmax_by_orders 1; both need one entry for each' in line


def test_parameters_that_do_not_fit_to_the_densities() -> None:
    (line,) = mistakes_in({**PACEMAKER, 'train.embeddings': {'ALL': {'ndensity': 1}}})
    assert 'fs_parameters must be 2 numbers for ndensity 1' in line


def test_limits_in_the_wrong_order() -> None:
    (line,) = mistakes_in({**PACEMAKER, 'train.energy_weighting': {'lower_energy': 2, 'upper_energy': 1}})
    assert 'upper_energy 1 must be larger than lower_energy 2' in line


def test_a_factor_of_all_forces_beside_automatic_kappa() -> None:
    (line,) = mistakes_in({**PACEMAKER, 'train.kappa': 'auto', 'train.kappa_f': 2.0})
    assert 'kappa_f 2 of all structures has no effect beside kappa auto: Pacemaker normalises w_forces' in line


def test_factors_beside_energy_based_weights() -> None:
    (line,) = mistakes_in({**PACEMAKER, 'train.kappa_f': {'md': 2}, 'train.weighting': 'energy'})
    assert 'Pacemaker ignores its own weights when the data set has a column w_forces' in line


@pytest.mark.parametrize('value', [0, -1, {'md': 0}])
def test_factors_out_of_bounds(value: Any) -> None:
    with pytest.raises(ValidationError, match='kappa_f'):
        PacemakerTrainer(kappa_f=value)


class TestLinearStart:
    """The basis is that of the linear fit: a basis in the settings would be ignored."""

    @pytest.mark.parametrize(
        ('field', 'value'),
        [
            ('b_basis_size', 200),
            ('functions', {'ALL': {}}),
            ('bonds', {'ALL': {}}),
            ('delta_spline', 0.001),
            ('ladder_step', 10),
            ('ladder_type', 'power_order'),
        ],
    )
    def test_a_basis_that_was_chosen_is_refused(self, field: str, value: Any) -> None:
        (line,) = mistakes_in({**PACEMAKER, f'train.{field}': value})
        assert f'{field} has no effect beside initial_potential linear, where the basis is that of the linear fit' in line
        assert 'set initial_potential: none' in line
        assert config_with({**PACEMAKER, f'train.{field}': value, 'train.initial_potential': 'none'})

    @pytest.mark.parametrize(
        'embedding',
        [
            {'npot': 'FinnisSinclair'},
            {'fs_parameters': [1, 0.5], 'ndensity': 1},
        ],
    )
    def test_an_embedding_in_which_the_start_is_not_linear_is_refused(self, embedding: dict[str, Any]) -> None:
        (line,) = mistakes_in({**PACEMAKER, 'train.embeddings': {'ALL': embedding}})
        assert 'embeddings.ALL: got ' in line
        assert 'initial_potential linear needs FinnisSinclairShiftedScaled' in line

    def test_more_densities_are_allowed(self) -> None:
        three = {'fs_parameters': [1, 1, 1, 0.5, 1, 2], 'ndensity': 3}
        assert config_with({**PACEMAKER, 'train.embeddings': {'ALL': three}}).train.embeddings['ALL'].ndensity == 3

    def test_defaults_follow_the_start(self) -> None:
        linear, scratch = PacemakerTrainer(), PacemakerTrainer(initial_potential='none')
        assert (linear.l1, linear.l2, linear.max_iter) == (0, 0, 100)
        assert (scratch.l1, scratch.l2, scratch.max_iter) == (1e-8, 1e-8, 500)
        assert PacemakerTrainer(l1=1e-8, max_iter=7).max_iter == 7

    @pytest.mark.parametrize('start', ['linear', 'none'])
    def test_a_configuration_that_was_written_can_be_read(self, start: str) -> None:
        once = MLIPConfig.from_mapping(changed({**PACEMAKER, 'train.initial_potential': start})).to_mapping()
        assert ('b_basis_size' in once['train']) == (start == 'none')
        assert MLIPConfig.from_mapping(once).to_mapping() == once


class TestLinear:
    """What the linear fit takes stands in its own section."""

    def test_it_has_the_shared_settings_of_the_trainer(self) -> None:
        config = config_with({**PACEMAKER, 'train.cutoff': 5.5, 'train.linear': {'stress_weight': 5, 'functions': 40}}).train
        start = config.start
        assert start is not None
        assert (start.name, start.cutoff, start.stress_weight, start.functions) == ('mlip_autopipe.ace', 5.5, 5, 40)
        assert config.continues

    def test_from_scratch_there_is_none(self) -> None:
        config = config_with({**PACEMAKER, 'train.initial_potential': 'none'}).train
        assert (config.start, config.continues) == (None, False)

    def test_its_settings_beside_those_of_pacemaker_are_refused(self) -> None:
        (line,) = mistakes_in({**PACEMAKER, 'train.stress_weight': 5})
        assert line == (
            'train: stress_weight: Pacemaker has none; that of the linear fit from which it starts is linear.stress_weight'
        )

    def test_from_scratch_it_has_no_effect(self) -> None:
        (line,) = mistakes_in({**PACEMAKER, 'train.initial_potential': 'none', 'train.linear': {'functions': 40}})
        assert line == 'train.linear has no effect beside initial_potential none: leave it out'

    @pytest.mark.parametrize('start', ['linear', 'none'])
    def test_settings_that_were_written_can_be_read(self, start: str) -> None:
        once = Trainer.of({'trainer': NAME, 'initial_potential': start}).model_dump(mode='json')
        assert Trainer.of(once).model_dump(mode='json') == once
