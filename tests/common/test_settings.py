"""How a mistake is told: field, value found and what is allowed, one line each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from aiida_mlip_autopipe.common.settings import Settings, explain, models_in
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.engines.lammps.explorer import LammpsMd
from tests.config.settings import DFT, LEFT_OUT, mistakes_in

COMMON_LABEL_KEYS = 'code, isolated_box, force_cap, outlier_zscore, max_failure_rate, options, labeller'
DFT_KEYS = (
    'protocol, pseudo_family, cutoff_wfc, cutoff_rho, kpoints_distance, smearing, degauss, conv_thr_per_atom, mixing_beta, '
    'electron_maxstep, magnetic_moments, hubbard, hubbard_input, vdw_correction, charge, reuse, clean_workdir, runs_at_once, '
    'max_concurrent, frames_per_job'
)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a model and all that its fields hold."""
    yield model
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            yield from models(inner)


ALL_MODELS = list(dict.fromkeys(models(MLIPConfig)))


class TestModels:
    def test_walk_reaches_the_ends(self) -> None:
        names = {model.__name__ for model in ALL_MODELS}
        assert {'MLIPConfig', 'DFTConfig', 'AseLabeller', 'LammpsPace', 'SQS', 'JobOptions'} <= names

    @pytest.mark.parametrize('model', ALL_MODELS)
    def test_every_field_is_described(self, model: type[BaseModel]) -> None:
        assert model.__doc__
        bare = [name for name, field in model.model_fields.items() if not (field.description or models_in(field.annotation))]
        assert bare == []

    @pytest.mark.parametrize('model', ALL_MODELS)
    def test_strict(self, model: type[BaseModel]) -> None:
        assert issubclass(model, Settings)
        assert model.model_config['extra'] == 'forbid'

    def test_settings_do_not_change(self) -> None:
        with pytest.raises(ValidationError, match='frozen'):
            LammpsMd().steps = 3


class TestUnknownKey:
    def test_near_match_and_keys_of_the_chosen_labeller_dft(self) -> None:
        (line,) = mistakes_in({'label': {**DFT, 'cutof_wfc': 3}})
        assert line == (f"label.cutof_wfc: unknown key; did you mean 'cutoff_wfc'? allowed here: {COMMON_LABEL_KEYS}, {DFT_KEYS}")

    def test_near_match_and_keys_of_the_chosen_labeller_ase(self) -> None:
        (line,) = mistakes_in({'label.calculater': 'emt'})
        assert line == (
            f"label.calculater: unknown key; did you mean 'calculator'? allowed here: {COMMON_LABEL_KEYS}, calculator, parameters"
        )

    def test_at_the_top(self) -> None:
        (line,) = mistakes_in({'nme': 'x'})
        assert line == (
            "nme: unknown key; did you mean 'name'? "
            'allowed here: name, seed, system, generate, select, label, converge, train, explore, properties, loop, worker'
        )

    def test_deep_inside(self) -> None:
        (line,) = mistakes_in({'label.options.waltime': 1})
        assert line == (
            "label.options.waltime: unknown key; did you mean 'walltime'? "
            'allowed here: num_machines, mpi_processes, walltime, queue, account'
        )

    def test_nothing_near(self) -> None:
        (line,) = mistakes_in({'generate.vacancy.qqq': 1})
        assert line == 'generate.vacancy.qqq: unknown key; allowed here: count, n_vacancies, concentration, of'


class TestOneLine:
    def test_missing(self) -> None:
        assert mistakes_in({'system': LEFT_OUT}) == ['system: missing; this key is required']

    @pytest.mark.parametrize('stage', ['label', 'explore', 'system'])
    @pytest.mark.parametrize('value', [3, None, [1]])
    def test_section_that_is_no_mapping(self, stage: str, value: object) -> None:
        # A bug that was: `label: 3` was told to be no instance of one of its members.
        assert mistakes_in({stage: value}) == [f'{stage}: got {value!r}; it must be a mapping of keys and values']

    def test_union_of_plain_types_is_one_mistake(self) -> None:
        # A bug that was: one line for each member, at the place `train.ridge.constrained-float`.
        assert mistakes_in({'train.ridge': 2}) == [
            "train.ridge: got 2; input should be 'auto' or less than 1 "
            '(relative ridge, dimensionless; auto: the one with the greatest evidence)'
        ]

    def test_union_of_four_plain_types(self) -> None:
        assert mistakes_in({'label.parameters': {'asap_cutoff': [1]}}) == [
            'label.parameters.asap_cutoff: got [1]; input should be a valid number or a valid integer or a valid boolean '
            'or a valid string (keyword arguments of the calculator)'
        ]

    def test_key_of_a_mapping(self) -> None:
        assert mistakes_in({'system.lattice_parameters': {'Cu': 3.6, 'Qq': 4.0}}) == [
            "system.lattice_parameters.Qq: got 'Qq'; not the symbol of a chemical element, or several joined by - (Å, lattice "
            'parameter a of the prototype for each element, or end member such as Mg-O; alloys follow by Vegard, what is left '
            'out is estimated from radii)'
        ]

    def test_key_and_value_of_a_mapping_are_two_mistakes(self) -> None:
        lines = mistakes_in({'system.lattice_parameters': {'Cu': 3.6, 'Qq': -4.0}})
        assert [line.split(';')[0] for line in lines] == [
            "system.lattice_parameters.Qq: got 'Qq'",
            'system.lattice_parameters.Qq: got -4.0',
        ]

    def test_key_that_is_no_text(self) -> None:
        assert mistakes_in({'train': {1: 2}}) == ['train.1: got 1; keys should be strings']

    def test_number_that_is_not_finite(self) -> None:
        assert mistakes_in({'explore.timestep': float('nan')}) == [
            'explore.timestep: got nan; input should be a finite number (fs; above 5 fs there is a warning)'
        ]

    def test_several_mistakes_are_several_lines_with_their_places(self) -> None:
        lines = mistakes_in({'seed': -1, 'explore.timestep': -1, 'train.basis': 'Q', 'label.force_cap': 0, 'nme': 'x'})
        assert [line.split(':')[0] for line in lines] == ['seed', 'label.force_cap', 'train.basis', 'explore.timestep', 'nme']


class TestElement:
    @pytest.mark.parametrize('symbol', ['Qq', 'X', 'cu', ''])
    def test_unknown(self, symbol: str) -> None:
        assert mistakes_in({'system.elements': ['Cu', symbol]}) == [
            f'system.elements.1: got {symbol!r}; not the symbol of a chemical element '
            '(chemical symbols, in the order the potential lists them)'
        ]


def test_explain_a_single_model() -> None:
    with pytest.raises(ValidationError) as caught:
        SelectionConfig.model_validate({'max_skew': 90})
    assert explain(caught.value, SelectionConfig) == (
        'max_skew: got 90; input should be less than 90 (degrees, largest deviation of a cell angle from 90 degrees)'
    )
    with pytest.raises(ValidationError) as caught:
        LammpsMd.model_validate({'gamma_select': 5, 'gamma_halt': 2})
    assert explain(caught.value, LammpsMd) == 'gamma_halt 2 must be larger than gamma_select 5'


def test_a_wrong_member_does_not_make_a_list_too_short() -> None:
    assert mistakes_in({'generate.sqs': {'cutoffs': [0]}}) == [
        'generate.sqs.cutoffs.0: got 0; input should be greater than 0 '
        '(Å, cluster radii: pairs first, then triplets, …; shortened where the cell is too small)'
    ]
    assert 'list should have at least 1 item' in mistakes_in({'generate.sqs': {'cutoffs': []}})[0]
