"""`input.yaml`: key by key the recorded ones, and what Pacemaker would swallow."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.ace.pacemaker_input import (
    CONTINUE,
    EXTEND,
    InputFiles,
    build_input,
    check_input,
    effective_kappa,
    input_text,
    potential_section,
    read_input,
    start_option,
    with_core,
    without_ladder,
)
from aiida_mlip_autopipe.engines.ace.pacemaker_settings import PacemakerTrainer
from tests.pacemaker_data import FAILURES, SMALL, settings, text

AL, AL_TEST, ALCU = '../data/al_emt.pckl.gzip', '../data/al_emt_test.pckl.gzip', '../data/alcu_emt.pckl.gzip'
OLD = '../fit_al/output_potential.yaml'
ORIGIN = 'lab: Al from ASE EMT'
ALLOY = {
    'b_basis_size': 50,
    'functions': {
        'UNARY': {'nradmax_by_orders': [10, 4, 2], 'lmax_by_orders': [0, 3, 2]},
        'BINARY': {'nradmax_by_orders': [10, 3, 2], 'lmax_by_orders': [0, 2, 1]},
    },
    'max_iter': 100,
    'test_size': 0.1,
}

RECORDED: dict[str, tuple[dict[str, Any], list[str], InputFiles, str]] = {
    'fit_al': (settings(), ['Al'], InputFiles((AL,), AL_TEST), ORIGIN),
    'fit_alcu': (settings(**ALLOY), ['Cu', 'Al'], InputFiles((ALCU,)), 'lab: AlCu from ASE EMT'),
    'ladder': (
        settings(max_iter=15, ladder_step=[20, 0.02], ladder_type='power_order'),
        ['Al'],
        InputFiles((AL,)),
        ORIGIN,
    ),
    'upfit_p': (settings(max_iter=20), ['Al'], InputFiles((AL,)), ORIGIN),
    'upfit_ip': (settings(max_iter=20, b_basis_size=90), ['Al'], InputFiles((AL,)), ORIGIN),
    'upfit_inityaml': (
        {**settings(max_iter=20, display_step=10), 'core_repulsion': False},
        ['Al'],
        InputFiles((AL, AL_TEST), potential=OLD),
        '',
    ),
    'al_loop': (
        settings(max_iter=40, display_step=20),
        ['Al'],
        InputFiles((AL, 'new.pckl.gzip'), AL_TEST, OLD),
        '',
    ),
}

GOOD = ('cu', 'dup', 'ok', 'nane', 'near', 'kappaauto', 'ladder1', 'lbfgs', 'testsize', 'badopt')
REFUSED = {
    'badeval': "evaluator: got 'foo'; only tensorpot fits with gradients",
    'badlosskey': "section 'fit.loss' has no 'kappa'",
    'dft_noec_dict': "unknown key 'reference_energy', which Pacemaker would ignore without a word",
    'dft_noec_ref0': "section 'data': unknown key 'reference_energy'",
    'noecorr_auto': "section 'data': unknown key 'reference_energy'",
    'noecorr_ref0': "section 'data': unknown key 'reference_energy'",
    'nobackend': "top level has no 'backend'",
    'nocutoff': "top level has no 'cutoff'",
    'nodata': "top level has no 'data'",
    'nofit': "top level has no 'fit'",
    'nopot': "top level has no 'potential'",
    'pyaceeval': "evaluator: got 'pyace'",
    'unknownfitkey': "section 'fit' has no 'maxiter'",
    'unknownkey': "top level: unknown key 'foo', which Pacemaker would ignore",
}


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return complete settings of a fit from scratch, as the calculation hands them over."""
    return PacemakerTrainer.model_validate({'initial_potential': 'none', **values}).model_dump()


def recorded(name: str) -> dict[str, Any]:
    """Return a recorded input without `repulsion`, which is in the bonds today."""
    values = read_input(text(name, 'input.yaml'))
    if isinstance(values.get('fit'), dict):
        values['fit'].pop('repulsion', None)
    return values


def built(name: str) -> dict[str, Any]:
    values, elements, files, origin = RECORDED[name]
    return build_input(plain(values), elements, files, seed=42, origin=origin)


@pytest.mark.parametrize('name', RECORDED)
def test_our_settings_give_the_recorded_input(name: str) -> None:
    expected = recorded(name)
    found = built(name)
    for key in {*expected, *found}:
        assert found.get(key) == expected.get(key), key
    assert read_input(input_text(found)) == expected, 'also after it was written and read'


@pytest.mark.parametrize('name', RECORDED)
def test_the_recorded_inputs_pass_the_check(name: str) -> None:
    check_input(recorded(name))


@pytest.mark.parametrize('name', GOOD)
def test_inputs_of_other_failures_pass_the_check(name: str) -> None:
    check_input(recorded(f'failures/{name}'))


@pytest.mark.parametrize(('name', 'said'), REFUSED.items())
def test_what_pacemaker_swallows_or_stumbles_over_is_refused(name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_input(recorded(f'failures/{name}'))
    assert said in str(caught.value)


@pytest.mark.parametrize('name', ['badindent', 'tabs'])
def test_what_is_no_yaml(name: str) -> None:
    with pytest.raises(InputError, match=r'input\.yaml: not valid YAML: .* line 5'):
        read_input(text(f'failures/{name}', 'input.yaml'))


@pytest.mark.parametrize('content', ['', '- 1', 'word'])
def test_what_is_no_mapping(content: str) -> None:
    with pytest.raises(InputError, match='must be a mapping'):
        read_input(content)


def test_every_recorded_failure_is_looked_at() -> None:
    assert set(REFUSED) | set(GOOD) <= set(FAILURES)
    assert len(FAILURES) == 46


def test_the_small_settings_give_the_input_of_the_failures() -> None:
    config = plain({'cutoff': 6.0, **SMALL})
    found = build_input(config, ['Al'], InputFiles(('ok.pckl.gzip',)), seed=42)
    assert found == recorded('failures/ok')


def test_the_cutoff_stands_in_every_bond() -> None:
    config = plain({'cutoff': 7.25, 'bonds': {'ALL': {}, 'BINARY': {'radbase': 'ChebPow'}}})
    found = build_input(config, ['Al', 'Cu'], InputFiles(('df',)), seed=0)
    assert found['cutoff'] == 7.25
    assert [bond['rcut'] for bond in found['potential']['bonds'].values()] == [7.25, 7.25]
    assert [bond['radbase'] for bond in found['potential']['bonds'].values()] == ['SBessel', 'ChebPow']


def test_a_cutoff_that_pacemaker_would_not_use_is_refused() -> None:
    values = built('fit_al')
    values['cutoff'] = 3.0
    with pytest.raises(InputError, match=r"cutoff is 3\.0 Å, but Pacemaker would use the rcut of the bonds: \{'ALL': 6\.0\}"):
        check_input(values)


@pytest.mark.parametrize('section', ['fit', 'data', 'backend'])
def test_a_section_that_is_no_mapping(section: str) -> None:
    with pytest.raises(InputError, match=f"section '{section}' is missing or no mapping"):
        check_input({**built('fit_al'), section: 'al_emt.pckl.gzip'})


def test_a_repulsion_that_pacemaker_would_add_after_the_fit_is_refused() -> None:
    values = built('fit_al')
    values['fit']['repulsion'] = 'auto'
    with pytest.raises(InputError, match="section 'fit': unknown key 'repulsion'"):
        check_input(values)


def test_the_core_stands_in_the_bonds_of_each_pair() -> None:
    values = built('fit_alcu')
    before = copy.deepcopy(values)
    found = with_core(values, {('Al', 'Al'): (2.0, 0.7), ('Al', 'Cu'): (1.8, 0.6), ('Cu', 'Cu'): (1.7, 0.5)})
    cores = {name: bond for name, bond in found['potential']['bonds'].items() if name not in before['potential']['bonds']}
    assert {name: core['r_in'] for name, core in cores.items()} == {'AlAl': 2.0, 'AlCu': 1.8, 'CuCu': 1.7}
    assert cores['AlCu'] == {'r_in': 1.8, 'delta_in': 0.6, 'inner_cutoff_type': 'zbl', 'core-repulsion': [1, 1]}
    assert values == before
    check_input(found)


def test_the_basis_of_a_start_needs_no_settings_of_its_own() -> None:
    config = PacemakerTrainer(cutoff=5.0).model_dump()
    found = build_input(config, ['Al'], InputFiles(('df',), potential='start.yaml'), seed=0)
    assert found['potential'] == {'filename': 'start.yaml'}
    assert found['fit']['loss'] == {'kappa': 0.01, 'L1_coeffs': 0.0, 'L2_coeffs': 0.0}
    check_input(found)


def test_energy_based_weights() -> None:
    chosen = {'weighting': 'energy', 'energy_weighting': {'upper_force': 50, 'lower_weight': 0.75}}
    config = plain(chosen)
    assert build_input(config, ['Al'], InputFiles(('df',)), seed=42)['fit']['weighting'] == {
        'type': 'EnergyBasedWeightingPolicy',
        'energy': 'convex_hull',
        'DElow': 1.0,
        'DEup': 10.0,
        'DFup': 50,
        'DE': 1.0,
        'DF': 1.0,
        'wlow': 0.75,
        'seed': 42,
    }


def test_energy_based_weights_leave_out_what_is_not_set() -> None:
    config = plain({'weighting': 'energy'})
    assert {'DFup', 'wlow'}.isdisjoint(build_input(config, ['Al'], InputFiles(('df',)), seed=0)['fit']['weighting'])


@pytest.mark.parametrize('step', [5, 0.1])
def test_a_ladder_of_one_number(step: float) -> None:
    config = plain({'ladder_step': step})
    assert build_input(config, ['Al'], InputFiles(('df',)), seed=0)['fit']['ladder_step'] == step


def test_the_test_file_wins_over_a_random_part() -> None:
    config = plain({'test_size': 10})
    assert build_input(config, ['Al'], InputFiles(('df',), 'test'), seed=0)['data'] == {'filename': 'df', 'test_filename': 'test'}


class TestKappa:
    @pytest.mark.parametrize(('kappa', 'factor', 'expected'), [(0.3, 1.0, 0.3), ('auto', 1.0, 'auto'), ('auto', 3.0, 'auto')])
    def test_as_it_is(self, kappa: Any, factor: float, expected: Any) -> None:
        assert effective_kappa(kappa, factor) == expected

    @pytest.mark.parametrize('factor', [0.1, 2.0, 50.0])
    def test_the_force_term_is_multiplied_by_the_factor(self, factor: float) -> None:
        found = effective_kappa(0.3, factor)
        assert isinstance(found, float)
        assert found / (1 - found) == pytest.approx(factor * 0.3 / 0.7)

    @pytest.mark.parametrize('kappa', [0.0, 1.0])
    def test_energies_or_forces_only(self, kappa: float) -> None:
        assert effective_kappa(kappa, 7.0) == kappa


class TestStart:
    def section(self, **changes: Any) -> dict[str, Any]:
        return potential_section(plain(settings(**changes)), ['Al'])

    def test_the_same_basis_goes_on(self) -> None:
        assert start_option(self.section(), self.section()) == CONTINUE == '-p'

    def test_a_larger_basis_extends(self) -> None:
        assert start_option(self.section(), self.section(b_basis_size=90)) == EXTEND == '-ip'

    def test_the_recorded_continued_fits(self) -> None:
        old, same, larger = (yaml.safe_load(text(name, 'input.yaml'))['potential'] for name in ('fit_al', 'upfit_p', 'upfit_ip'))
        assert start_option(old, same) == '-p'
        assert start_option(old, larger) == '-ip'

    def test_the_core_of_another_training_set_is_no_other_basis(self) -> None:
        old, new = ({'potential': self.section(b_basis_size=size)} for size in (60, 90))
        old, new = (with_core(part, {('Al', 'Al'): (radius, 0.6)}) for part, radius in ((old, 2.0), (new, 1.9)))
        assert start_option(old['potential'], new['potential']) == EXTEND

    def test_a_basis_that_came_from_a_linear_fit_cannot_be_compared(self) -> None:
        with pytest.raises(InputError, match='its basis is that of a linear fit'):
            start_option({'filename': 'initial_potential.yaml'}, self.section())

    def test_a_smaller_basis_is_refused(self) -> None:
        with pytest.raises(InputError, match='up to 60 functions per element, the settings ask for 40; a basis can stay'):
            start_option(self.section(), self.section(b_basis_size=40))

    def test_other_orders_with_the_same_size_are_refused(self) -> None:
        functions = {'ALL': {'nradmax_by_orders': [12, 5, 3], 'lmax_by_orders': [0, 3, 2]}}
        with pytest.raises(InputError, match='ask for 60 and less in ALL; '):
            start_option(self.section(), self.section(functions=functions))

    def test_a_combination_that_is_gone_is_refused(self) -> None:
        functions = {'UNARY': {'nradmax_by_orders': [12], 'lmax_by_orders': [0]}}
        with pytest.raises(InputError, match='ask for 90 and less in ALL'):
            start_option(self.section(), self.section(functions=functions, b_basis_size=90))

    @pytest.mark.parametrize(
        ('change', 'name'),
        [
            ({'embeddings': {'ALL': {'fs_parameters': [1, 1], 'ndensity': 1}}}, 'embeddings'),
            ({'bonds': {'ALL': {'radbase': 'ChebPow'}}}, 'bonds'),
            ({'delta_spline': 0.01}, 'deltaSplineBins'),
        ],
    )
    def test_another_form_is_refused(self, change: dict[str, Any], name: str) -> None:
        with pytest.raises(InputError, match=f'initial_potential: its {name} .* Pacemaker would take the old ones'):
            start_option(self.section(), self.section(**change))

    def test_another_cutoff_is_refused(self) -> None:
        new = potential_section(plain({**settings(), 'cutoff': 5.0}), ['Al'])
        with pytest.raises(InputError, match='its bonds'):
            start_option(self.section(), new)

    def test_the_ladder_is_left_out_when_a_fit_goes_on(self) -> None:
        values = built('ladder')
        before = copy.deepcopy(values)
        found = without_ladder(values)
        assert set(values['fit']) - set(found['fit']) == {'ladder_step', 'ladder_type'}
        assert values == before
