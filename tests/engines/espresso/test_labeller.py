"""Settings of the labellers: which one is chosen, and what it allows."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_mlip_autopipe.common.job_options import JobOptions
from aiida_mlip_autopipe.engines.ase.labeller import AseLabeller
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from tests.config.settings import DFT, config_with, mistakes_in


class TestChoice:
    def test_without_a_name_it_is_quantum_espresso(self) -> None:
        label = config_with({'label': {'pseudo_family': 'SSSP', 'cutoff_wfc': 40}}).label
        assert isinstance(label, DFTConfig)
        assert label.labeller == 'mlip_autopipe.label'
        assert label.code == 'pw@localhost'

    def test_by_name(self) -> None:
        assert isinstance(config_with({'label': DFT}).label, DFTConfig)
        assert isinstance(config_with({'label': {'labeller': 'mlip_autopipe.label_ase'}}).label, AseLabeller)

    def test_model_in_place_of_a_mapping(self) -> None:
        label = AseLabeller()
        assert config_with({'label': label}).label == label


class TestQuantumEspresso:
    def test_required_keys(self) -> None:
        assert mistakes_in({'label': {}}) == [
            'label.pseudo_family: missing; give a family (aiida-pseudo list), or a protocol, which brings one'
        ]

    def test_negative_cutoff(self) -> None:
        assert mistakes_in({'label': {**DFT, 'cutoff_wfc': -3}}) == [
            'label.cutoff_wfc: got -3; input should be greater than 0 (Ry, kinetic-energy cutoff of the wave functions; '
            "the family's recommendation when not given)"
        ]

    def test_smearing_names_what_is_allowed(self) -> None:
        assert mistakes_in({'label': {**DFT, 'smearing': 'warm'}}) == [
            "label.smearing: got 'warm'; input should be 'gaussian', 'methfessel-paxton', 'cold' or 'fermi-dirac' "
            '(kind of smearing of the occupations; cold without a protocol)'
        ]

    def test_number_in_scientific_notation_of_yaml(self) -> None:
        # PyYAML reads 1e-8 without a point as text.
        label = config_with({'label': {**DFT, 'conv_thr_per_atom': '1e-8'}}).label
        assert label.conv_thr_per_atom == 1e-8

    @pytest.mark.parametrize(
        ('field', 'value', 'said'),
        [
            ('pseudo_family', '', 'string should have at least 1 character'),
            ('cutoff_wfc', 900, 'input should be less than or equal to 500 (Ry'),
            ('cutoff_rho', 0, 'input should be greater than 0 (Ry'),
            ('kpoints_distance', 0, 'input should be greater than 0 (1/Å'),
            ('kpoints_distance', 3, 'input should be less than or equal to 2 (1/Å'),
            ('degauss', 0, 'input should be greater than 0 (Ry'),
            ('degauss', 1, 'input should be less than or equal to 0.5 (Ry'),
            ('conv_thr_per_atom', 0.1, 'input should be less than or equal to 0.001 (Ry'),
            ('mixing_beta', 0, 'input should be greater than 0'),
            ('mixing_beta', 1.2, 'input should be less than or equal to 1'),
            ('electron_maxstep', 0, 'input should be greater than 0'),
            ('max_concurrent', 0, 'input should be greater than 0'),
            ('max_concurrent', 2000, 'input should be less than or equal to 1000'),
        ],
    )
    def test_out_of_bounds(self, field: str, value: Any, said: str) -> None:
        (line,) = mistakes_in({'label': {**DFT, field: value}})
        assert line.startswith(f'label.{field}: got {value!r}; {said}')


class TestAse:
    def test_defaults(self) -> None:
        label = config_with({}).label
        assert (label.calculator, label.parameters, label.code) == ('emt', {}, 'mlip-worker@localhost')

    def test_unknown_calculator(self) -> None:
        assert mistakes_in({'label.calculator': 'vasp'}) == [
            "label.calculator: got 'vasp'; input should be 'emt', 'lj' or 'morse' (name of the calculator in ASE's registry)"
        ]

    def test_parameters_keep_their_kind(self) -> None:
        parameters = {'a': 1, 'b': 1.5, 'c': True, 'd': 'x'}
        kept = config_with({'label.parameters': parameters}).label.parameters
        assert [(value, type(value)) for value in kept.values()] == [(value, type(value)) for value in parameters.values()]


@pytest.mark.parametrize('chosen', [DFT, {'labeller': 'mlip_autopipe.label_ase'}])
@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('isolated_box', 5, 'greater than or equal to 6 (Å'),
        ('isolated_box', 50, 'less than or equal to 40 (Å'),
        ('force_cap', 0, 'greater than 0 (eV/Å'),
        ('max_failure_rate', -0.1, 'greater than or equal to 0'),
        ('max_failure_rate', 1.1, 'less than or equal to 1'),
    ],
)
def test_bounds_of_every_labeller(chosen: dict[str, Any], field: str, value: float, said: str) -> None:
    (line,) = mistakes_in({'label': {**chosen, field: value}})
    assert line.startswith(f'label.{field}: got {value!r}; input should be {said}')


@pytest.mark.parametrize('field', ['num_machines', 'mpi_processes', 'walltime'])
def test_job_options(field: str) -> None:
    (line,) = mistakes_in({'label.options': {field: 0}})
    assert line.startswith(f'label.options.{field}: got 0; input should be greater than 0 (')


def test_job_options_by_default() -> None:
    assert JobOptions().model_dump() == {
        'num_machines': 1,
        'mpi_processes': 1,
        'walltime': 3600,
        'queue': None,
        'account': None,
    }


def test_charge_cutoff_is_the_given_one_or_four_times_that_of_the_wave_functions():
    assert DFTConfig(pseudo_family='f', cutoff_wfc=20).charge_cutoff == 80
    assert DFTConfig(pseudo_family='f', cutoff_wfc=20, cutoff_rho=200).charge_cutoff == 200


def test_charge_cutoff_below_that_of_the_wave_functions_is_refused():
    with pytest.raises(ValueError, match='cutoff_rho: got 10; must be at least cutoff_wfc 20 Ry'):
        DFTConfig(pseudo_family='f', cutoff_wfc=20, cutoff_rho=10)


def test_an_unknown_labeller() -> None:
    assert mistakes_in({'label': {'labeller': 'mlip_autopipe.labl'}}) == [
        "label.labeller: got 'mlip_autopipe.labl'; did you mean 'mlip_autopipe.label'? "
        'registered here: mlip_autopipe.label, mlip_autopipe.label_ase'
    ]


def test_settings_of_another_package_stand_in_the_section() -> None:
    assert mistakes_in({'label': {**DFT, 'settings': {}}}) == [
        'label.settings: this key is gone; the keys of a labeller of another package stand in label itself'
    ]


class TestTheory:
    def test_a_protocol_leaves_open_what_it_gives(self) -> None:
        label = DFTConfig(protocol='fast', degauss=0.01)
        assert (label.kpoints_distance, label.degauss) == (None, 0.01)
        assert set(label.missing) == {
            'pseudo_family', 'cutoff_wfc', 'kpoints_distance', 'smearing', 'conv_thr_per_atom', 'mixing_beta', 'electron_maxstep'
        }  # fmt: skip

    def test_without_a_protocol_only_the_cutoff_may_be_missing(self) -> None:
        assert DFTConfig(pseudo_family='f').missing == ['cutoff_wfc']
        assert DFTConfig(pseudo_family='f', cutoff_wfc=20).missing == []

    def test_null_is_not_given(self) -> None:
        assert DFTConfig(pseudo_family='f', kpoints_distance=None).kpoints_distance == 0.25

    def test_settings_survive_being_stored(self) -> None:
        label = DFTConfig(protocol='fast', hubbard={'Fe': {'manifold': '3d', 'u': 4}}, magnetic_moments={'Fe': 2})
        assert DFTConfig.model_validate(label.model_dump()) == label

    @pytest.mark.parametrize(
        ('place', 'value', 'said'),
        [
            ('charge', 1, 'charge: got 1; must be 0'),
            ('protocol', 'quick', "protocol: got 'quick'; input should be 'fast', 'balanced' or 'stringent'"),
            ('magnetic_moments', {'Xx': 1}, 'magnetic_moments.Xx'),
            ('magnetic_moments', {'Fe': 20}, 'magnetic_moments.Fe: got 20; input should be less than or equal to 10'),
            ('hubbard', {'Fe': {'manifold': 'd', 'u': 1}}, 'hubbard.Fe.manifold'),
            ('hubbard', {'Fe': {'manifold': '3d', 'u': -1}}, 'hubbard.Fe.u: got -1; input should be greater than 0'),
            ('vdw_correction', 'd3', "vdw_correction: got 'd3'; input should be 'grimme-d2', 'grimme-d3'"),
        ],
    )
    def test_bad_values(self, place: str, value: Any, said: str) -> None:
        (line,) = mistakes_in({'label': {**DFT, place: value}})
        assert line.startswith(f'label.{said}')

    @pytest.mark.parametrize(
        'changes',
        [
            {'cutoff_wfc': 41},
            {'cutoff_rho': 200},
            {'kpoints_distance': 0.2},
            {'smearing': 'gaussian'},
            {'degauss': 0.01},
            {'magnetic_moments': {'Al': 1}},
            {'hubbard': {'Al': {'manifold': '3p', 'u': 1}}},
            {'vdw_correction': 'grimme-d2'},
        ],
    )
    def test_what_changes_a_label_changes_the_theory(self, changes: dict[str, Any]) -> None:
        plain = {'pseudo_family': 'f', 'cutoff_wfc': 40}
        pseudos = {'Al': 'x', 'Mg': 'y'}
        assert DFTConfig(**{**plain, **changes}).theory(pseudos) != DFTConfig(**plain).theory(pseudos)
        assert DFTConfig(**plain).theory({**pseudos, 'Al': 'z'}) != DFTConfig(**plain).theory(pseudos)

    def test_what_only_changes_how_does_not(self) -> None:
        plain = DFTConfig(pseudo_family='f', cutoff_wfc=40)
        other = DFTConfig(pseudo_family='g', cutoff_wfc=40, mixing_beta=0.1, electron_maxstep=7, max_concurrent=9)
        assert plain.theory({'Al': 'x'}) == other.theory({'Al': 'x'})
