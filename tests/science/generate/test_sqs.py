"""Quasirandom structures: composition, seeds, correlations better than chance, small cells, and icet missing."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.science.generate.bases import PROTOTYPES, parent_lattice
from aiida_mlip_autopipe.science.generate.sqs import special_quasirandom_structures, usable_cutoffs

A = 4.05
FIRST_SHELL = A / np.sqrt(2)
HALF = {'Al': 0.5, 'Mg': 0.5}
SIZES = {'Al': A, 'Mg': A}


def lattice(supercell, prototype='fcc'):
    return parent_lattice(prototype, HALF, SIZES, supercell)


def make(parent, composition=HALF, *, count=1, steps=300, cutoffs=(6.0, 4.0), seed=1):
    rng = np.random.default_rng(seed)
    return list(special_quasirandom_structures(parent, composition, count=count, steps=steps, cutoffs=cutoffs, rng=rng))


def pair_correlation(atoms, cutoff=FIRST_SHELL + 0.1):
    spins = np.where(atoms.numbers == 12, 1.0, -1.0)
    first, second = neighbor_list('ij', atoms, cutoff)
    return float((spins[first] * spins[second]).mean())


@pytest.mark.parametrize('supercell', [(1, 1, 2), (2, 2, 2), (4, 2, 2), (4, 4, 2)])
def test_composition_and_lattice_are_kept(supercell):
    parent = lattice(supercell)
    (atoms,) = make(parent)
    assert np.count_nonzero(atoms.numbers == 12) == len(parent) // 2
    np.testing.assert_array_equal(atoms.positions, parent.positions)
    np.testing.assert_array_equal(atoms.cell.array, parent.cell.array)
    assert atoms.info['config_type'] == 'sqs'


@pytest.mark.parametrize('prototype', PROTOTYPES)
def test_ternary_on_every_prototype(prototype):
    parent = parent_lattice(prototype, HALF, SIZES, (2, 2, 2))
    n = len(parent)
    (atoms,) = make(parent, {'Al': 1 - 2 / n, 'Mg': 1 / n, 'Si': 1 / n}, steps=50, cutoffs=(4.5,))
    assert sorted(atoms.symbols.formula.count().items()) == [('Al', n - 2), ('Mg', 1), ('Si', 1)]


def test_first_shell_is_nearer_to_random_than_chance():
    parent = lattice((4, 4, 2))
    found = abs(pair_correlation(make(parent, steps=2000)[0]))
    rng = np.random.default_rng(3)
    chance = []
    for _ in range(30):
        shuffled = parent.copy()
        shuffled.numbers[:] = rng.permutation([12, 13] * (len(parent) // 2))
        chance.append(abs(pair_correlation(shuffled)))
    assert found <= np.median(chance)
    assert found < 0.05


def test_same_seed_same_structures():
    parent = lattice((2, 2, 2))
    first, again = make(parent, count=3, seed=5), make(parent, count=3, seed=5)
    assert [uid_of(a) for a in first] == [uid_of(a) for a in again]
    assert [a.info for a in first] == [a.info for a in again]


def test_each_structure_has_its_own_seed():
    structures = make(lattice((4, 2, 2)), count=4)
    assert len({a.info['origin'] for a in structures}) == 4
    assert len({uid_of(a) for a in structures}) > 1


def test_pure_element_comes_once():
    parent = lattice((2, 2, 2))
    (atoms,) = make(parent, {'Mg': 1.0, 'Al': 0.0}, count=5)
    assert atoms.get_chemical_formula() == 'Mg8'
    assert make(parent, {'Mg': 1.0}, count=0) == []


def test_parent_is_not_shared_or_changed():
    parent = lattice((2, 2, 2))
    before = parent.copy()
    (atoms,) = make(parent)
    atoms.positions += 1.0
    atoms.cell[0, 0] += 1.0
    assert parent == before


def test_global_random_state_is_kept():
    random.seed(11)
    state, numpy_state = random.getstate(), np.random.get_state()[1].copy()
    make(lattice((2, 2, 2)))
    assert random.getstate() == state
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_cutoffs_end_below_the_shortest_lattice_vector():
    # 2 x 2 x 2 primitive fcc: shortest lattice vector 2 a / sqrt(2) = 5.73 Å
    assert usable_cutoffs(lattice((2, 2, 2)), [8.0, 4.0]) == pytest.approx([2 * FIRST_SHELL - 0.01, 4.0])
    assert usable_cutoffs(lattice((4, 4, 4)), [8.0, 4.0]) == [8.0, 4.0]


def test_cutoffs_keep_the_first_shell():
    assert usable_cutoffs(lattice((1, 1, 2)), [8.0]) == pytest.approx([FIRST_SHELL + 0.01])
    assert usable_cutoffs(lattice((1, 1, 1)), [8.0]) == pytest.approx([FIRST_SHELL + 0.01])


def test_cutoffs_do_not_depend_on_the_choice_of_cell():
    parent = lattice((2, 2, 2))
    skewed = parent.copy()
    skewed.cell[1] += 2 * parent.cell[0]
    assert usable_cutoffs(skewed, [9.0]) == pytest.approx(usable_cutoffs(parent, [9.0]))


def test_misfit_is_refused_with_a_proposal():
    with pytest.raises(InputError, match=r"8 sites; the nearest that does is \{'Al': 0.875, 'Mg': 0.125\}"):
        make(lattice((2, 2, 2)), {'Al': 0.9, 'Mg': 0.1})


@pytest.mark.parametrize('wrong', [{'count': -1}, {'steps': 0}, {'cutoffs': ()}, {'cutoffs': (5.0, 0.0)}])
def test_settings_out_of_range(wrong):
    with pytest.raises(InputError, match='are needed, got'):
        make(lattice((2, 2, 2)), **wrong)


def test_missing_icet_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, 'icet', None)
    with pytest.raises(EngineError, match=r'pip install "icet>=4.0"'):
        make(lattice((2, 2, 2)))
