"""Names of crystals."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipe.common.crystal_names import (
    crystal_formula,
    crystal_names,
    file_crystals,
    file_name,
    ordered_crystals,
    ordered_name,
    pure_occupation,
    system_crystals,
)

FCC = {'prototype': 'fcc', 'elements': ['Cu', 'Au'], 'occupations': [], 'compositions': [{'Cu': 1.0}, {'Cu': 0.5, 'Au': 0.5}]}
SALTS = {
    'prototype': 'B1',
    'elements': ['Mg', 'Ca', 'O'],
    'compositions': [],
    'occupations': [[{'Mg': 1.0}, {'O': 1.0}], [{'Mg': 0.5, 'Ca': 0.5}, {'O': 1.0}], [{'Mg': 0.0, 'Ca': 1.0}, {'O': 1.0}]],
}


@pytest.mark.parametrize(
    ('prototype', 'elements', 'formula'),
    [('hcp', ['Mg'], 'Mg'), ('L1_2', ['Al', 'Ni'], 'AlNi3'), ('B1', ['Mg', 'O'], 'MgO'), ('D0_19', ['Ti', 'Al'], 'Al3Ti')],
)
def test_formula(prototype: str, elements: list[str], formula: str) -> None:
    assert crystal_formula(prototype, elements) == formula


def test_names_of_a_system() -> None:
    assert system_crystals(FCC) == {'Cu': ['Cu']}
    assert system_crystals(SALTS) == {'MgO': ['Mg', 'O'], 'CaO': ['Ca', 'O']}


def test_pure_occupation() -> None:
    assert pure_occupation([{'Cu': 1.0, 'Au': 0.0}]) == ['Cu']
    assert pure_occupation([{'Cu': 0.5, 'Au': 0.5}]) is None


def test_ordered_compounds_both_ways_round() -> None:
    assert ordered_crystals(FCC, {}) == {}
    assert ordered_crystals(FCC, {'ordered': {'prototypes': ['L1_2']}}) == {
        'L1_2 AuCu3': ('L1_2', ('Au', 'Cu')),
        'L1_2 Au3Cu': ('L1_2', ('Cu', 'Au')),
    }
    # L1_0 is the same both ways round; without a list all prototypes on the lattice are made
    assert list(ordered_crystals(FCC, {'ordered': {'prototypes': []}}))[:1] == [ordered_name('L1_0', ('Cu', 'Au'))]


def test_names_of_files() -> None:
    assert file_name('/a/b/Al3Mg.2024.cif') == 'Al3Mg'
    assert file_crystals({'files': {'paths': ['x/a.cif', 'y/b.vasp']}}) == {'a': 'x/a.cif', 'b': 'y/b.vasp'}
    assert file_crystals({'files': None}) == {}


def test_all_names_those_of_the_system_first() -> None:
    generate = {'ordered': {'prototypes': ['L1_0']}, 'files': {'paths': ['a.cif']}}
    assert crystal_names(FCC, generate) == ['Cu', 'L1_0 AuCu', 'a']
