"""`TargetSystem`: what is no material, and what does not fit its supercell."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.common.prototypes import PROTOTYPES, SITES_PER_CELL
from aiida_mlip_autopipe.config.system import TargetSystem
from tests.config.settings import VALID, config_with, mistakes_in


def line_about(values: dict[str, Any]) -> str:
    (line,) = mistakes_in({f'system.{name}': value for name, value in values.items()})
    return line


def test_valid_system_and_its_defaults() -> None:
    system = TargetSystem.model_validate(VALID['system'])
    assert system.elements == ['Cu', 'Au']
    assert system.supercells == [(2, 2, 2)]


def test_prototypes_are_those_that_have_sites() -> None:
    names, none = get_args(TargetSystem.model_fields['prototype'].annotation)
    assert set(get_args(names)) == set(SITES_PER_CELL)
    assert none is type(None)


@pytest.mark.parametrize('prototype', SITES_PER_CELL)
def test_every_prototype_is_accepted(prototype: str) -> None:
    n_sublattices = PROTOTYPES[prototype].n_sublattices
    elements = ['Mg', 'Ca', 'O', 'Ti'][: n_sublattices + 1]
    parts = [{'Mg': 0.5, 'Ca': 0.5}, *({element: 1.0} for element in elements[2:])]
    fractions = {'occupations': [parts]} if n_sublattices > 1 else {'compositions': parts}
    system = TargetSystem.model_validate({'elements': elements, 'prototype': prototype, **fractions})
    assert len(system.alloys[0]) == n_sublattices


class TestSublattices:
    OXIDE: ClassVar[dict[str, Any]] = {
        'elements': ['Mg', 'Ca', 'O'],
        'prototype': 'B1',
        'lattice_parameters': {'Mg-O': 4.21, 'Ca-O': 4.81},
        'occupations': [[{'Mg': 0.5, 'Ca': 0.5}, {'O': 1.0}]],
    }

    def mistake(self, **changes: Any) -> str:
        with pytest.raises(ValidationError) as caught:
            TargetSystem.model_validate({**self.OXIDE, **changes})
        return str(caught.value)

    def test_an_oxide(self) -> None:
        assert TargetSystem.model_validate(self.OXIDE).alloys == [[{'Mg': 0.5, 'Ca': 0.5}, {'O': 1.0}]]

    def test_too_few(self) -> None:
        assert 'B1 has 2 sublattices, got the fractions of 1' in self.mistake(occupations=[[{'Mg': 1.0}]])

    def test_compositions_are_for_one_sublattice(self) -> None:
        said = self.mistake(compositions=[{'Mg': 1.0}], occupations=[])
        assert 'occupations must be given, and not compositions: B1 has 2 sublattice(s)' in said

    def test_an_element_on_two(self) -> None:
        said = self.mistake(occupations=[[{'Mg': 0.5, 'Ca': 0.5}, {'O': 0.5, 'Mg': 0.5}]])
        assert 'an element must be on one sublattice only' in said

    def test_misfit_on_one_of_them(self) -> None:
        said = self.mistake(occupations=[[{'Mg': 0.9, 'Ca': 0.1}, {'O': 1.0}]])
        assert "on 8 sites; the nearest that does is {'Mg': 0.875, 'Ca': 0.125}" in said

    def test_unknown_end_member(self) -> None:
        said = self.mistake(lattice_parameters={'Mg': 4.2})
        assert "names ['Mg']; the end members of this system are ['Ca-O', 'Mg-O']" in said


class TestElements:
    def test_twice(self) -> None:
        assert line_about({'elements': ['Cu', 'Au', 'Cu']}) == "system.elements lists a symbol twice: ['Cu', 'Au', 'Cu']"

    def test_none(self) -> None:
        assert line_about({'elements': []}).startswith('system.elements: got []; list should have at least 1 item')

    def test_text_in_place_of_a_list(self) -> None:
        assert line_about({'elements': 'CuAu'}).startswith("system.elements: got 'CuAu'; input should be a valid list")

    def test_used_but_not_listed(self) -> None:
        assert line_about({'compositions': [{'Cu': 0.5, 'Ag': 0.5}]}) == (
            "system.compositions uses ['Ag'], which elements ['Cu', 'Au'] does not list"
        )

    def test_listed_but_not_used(self) -> None:
        assert line_about({'compositions': [{'Cu': 1.0}]}) == "system.elements lists ['Au'], which no composition contains"

    def test_not_used_but_in_structures_from_elsewhere(self) -> None:
        changes = {'system.compositions': [{'Cu': 1.0}], 'system.lattice_parameters': {'Cu': 3.6}}
        assert 'no composition contains' in mistakes_in(changes)[0]
        system = config_with({**changes, 'generate.files': {'paths': ['gold.cif']}}).system
        assert system.unused == ['Au']

    def test_fraction_zero_is_no_use(self) -> None:
        assert 'no composition contains' in line_about({'compositions': [{'Cu': 1.0, 'Au': 0.0}]})


class TestLatticeParameters:
    def test_one_missing_is_estimated(self) -> None:
        assert config_with({'system.lattice_parameters': {'Cu': 3.6}}).system.lattice_parameters == {'Cu': 3.6}

    def test_one_too_many(self) -> None:
        assert "names ['Ag']; the end members of this system are ['Au', 'Cu']" in line_about(
            {'lattice_parameters': {'Cu': 3.6, 'Au': 4.0, 'Ag': 4.0}}
        )

    def test_negative(self) -> None:
        assert line_about({'lattice_parameters': {'Cu': -3.6, 'Au': 4.0}}) == (
            'system.lattice_parameters.Cu: got -3.6; input should be greater than 0 (Å, lattice parameter '
            'a of the prototype for each element, or end member such as Mg-O; alloys follow by Vegard, what is left out is '
            'estimated from radii)'
        )


class TestCompositions:
    def test_misfit_proposes_the_nearest(self) -> None:
        assert line_about({'compositions': [{'Cu': 0.9, 'Au': 0.1}]}) == (
            "system.compositions: supercell [2, 2, 2]: composition {'Cu': 0.9, 'Au': 0.1} does not give whole numbers of atoms "
            "on 8 sites; the nearest that does is {'Cu': 0.875, 'Au': 0.125}"
        )

    def test_proposal_is_accepted(self) -> None:
        config = config_with({'system.compositions': [{'Cu': 0.875, 'Au': 0.125}, {'Cu': 0.5, 'Au': 0.5}]})
        assert config.system.compositions[0] == {'Cu': 0.875, 'Au': 0.125}

    def test_second_supercell_is_checked_too(self) -> None:
        assert 'supercell [3, 1, 1]' in line_about({'supercells': [[2, 2, 2], [3, 1, 1]]})

    def test_sites_of_the_prototype_count(self) -> None:
        changes = {'system.compositions': [{'Cu': 0.5, 'Au': 0.5}], 'system.supercells': [[1, 1, 1]]}
        assert config_with({**changes, 'system.prototype': 'hcp'}).system.prototype == 'hcp'
        (line,) = mistakes_in(changes)
        assert 'on 1 sites' in line

    def test_sum_not_one(self) -> None:
        assert line_about({'compositions': [{'Cu': 0.9, 'Au': 0.2}]}) == (
            "system.compositions: {'Cu': 0.9, 'Au': 0.2} sums to 1.1, it must sum to 1"
        )

    def test_six_digits_typed_by_hand_are_one(self) -> None:
        # A bug that was: the sum 0.999999 was refused here and accepted by `whole_counts`.
        thirds = [{'Cu': 0.333333, 'Au': 0.666666}]
        assert config_with({'system.compositions': thirds, 'system.supercells': [[3, 1, 1]]}).system.compositions == thirds

    @pytest.mark.parametrize(('fraction', 'bound'), [(1.5, 'less than or equal to 1'), (-0.5, 'greater than or equal to 0')])
    def test_fraction_out_of_range(self, fraction: float, bound: str) -> None:
        assert line_about({'compositions': [{'Cu': fraction}]}) == (
            f'system.compositions.0.Cu: got {fraction}; input should be {bound} '
            '(atomic fractions, each summing to one; for prototypes with one sublattice; a range in place of fractions: '
            '{Mg: {start: 0, stop: 0.5, step: 0.125}, Al: rest})'
        )

    def test_unknown_element(self) -> None:
        assert line_about({'compositions': [{'Qq': 1.0}]}).startswith("system.compositions.0.Qq: got 'Qq'; not the symbol")

    def test_none(self) -> None:
        assert line_about({'compositions': []}) == (
            'system.compositions must be given, and not occupations: fcc has 1 sublattice(s)'
        )

    def test_empty(self) -> None:
        assert line_about({'compositions': [{}]}).startswith('system.compositions.0: got ')


@pytest.mark.parametrize(
    ('supercells', 'start'),
    [
        ([], 'system.supercells: got []; list should have at least 1 item'),
        ([[2, 2]], 'system.supercells.0.2: missing'),
        ([[2, 2, 0]], 'system.supercells.0.2: got 0; input should be greater than 0'),
        ([[2, 2, 1.5]], 'system.supercells.0.2: got 1.5; input should be a valid integer'),
    ],
)
def test_supercells(supercells: list[list[int]], start: str) -> None:
    assert line_about({'supercells': supercells}).startswith(start)


def test_unknown_prototype_names_those_that_are_known() -> None:
    assert line_about({'prototype': 'fc'}) == (
        "system.prototype: got 'fc'; input should be 'fcc', 'bcc', 'sc', 'hcp', 'diamond', 'B1', 'B2', 'B3', "
        "'B4', 'C1', 'D0_3', 'D0_19', 'D0_22', 'E2_1', 'L1_0' or 'L1_2' "
        "(crystal prototype of the base structures; null: all of them come from files, nodes or cells); did you mean 'fcc'?"
    )


def test_without_a_prototype_all_bases_come_from_elsewhere() -> None:
    files = {'generate': {'files': {'paths': ['a.cif']}}}
    system = {'elements': ['Na', 'Cl']}
    assert config_with({'system': system, 'label.calculator': 'lj', **files}).system.alloys == []
    assert mistakes_in({'system': system, 'label.calculator': 'lj'}) == [
        "system.elements lists ['Cl', 'Na'], which no composition contains"
    ]
    assert mistakes_in({'system': {**system, 'compositions': [{'Na': 1.0}]}, 'label.calculator': 'lj', **files}) == [
        'system.compositions needs a prototype: give it, or leave out compositions'
    ]
