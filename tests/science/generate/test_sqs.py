"""Quasirandom structures: composition, seeds, correlations better than chance, small cells, and icet missing."""

from __future__ import annotations

import itertools
import json
import random
import sys

import icet
import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from icet.tools import structure_generation
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.science.generate import ideal_lattices
from aiida_mlip_autopipe.science.generate.ideal_lattices import parent_lattice
from aiida_mlip_autopipe.science.generate.sqs import (
    SQS,
    cluster_vector_distance,
    shuffled,
    slot_counts,
    told_distances,
    usable_cutoffs,
)
from aiida_mlip_autopipe.science.generate.strategy import Slot, System

A = 4.05
ELEMENTAL = ('fcc', 'bcc', 'sc', 'hcp', 'diamond')
FIRST_SHELL = A / np.sqrt(2)
HALF = {'Al': 0.5, 'Mg': 0.5}
SIZES = {'Al': A, 'Mg': A}


def lattice(supercell, prototype='fcc'):
    return parent_lattice(prototype, HALF, SIZES, supercell)


def slot_of(parent, *occupation):
    return Slot(parent, np.zeros(len(parent), dtype=int), occupation)


def make(parent, composition=HALF, *, count=1, steps=300, cutoffs=(6.0, 4.0), seed=1, **settings):
    strategy = SQS(per_composition=count, steps=steps, cutoffs=cutoffs, **settings)
    return list(strategy(slot_of(parent, composition), np.random.default_rng(seed)))


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


@pytest.mark.parametrize('prototype', ELEMENTAL)
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
    with pytest.raises(ValidationError, match=r'steps|cutoffs|per_composition'):
        make(lattice((2, 2, 2)), **wrong)


def test_unknown_method():
    with pytest.raises(ValidationError, match='method'):
        SQS(method='mcsqs')


def test_without_icet_sites_are_shuffled_and_the_origin_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, 'icet', None)
    parent = lattice((2, 2, 2))
    first, second = make(parent, count=2)
    told = json.loads(first.info['origin'])
    assert told['method'] == 'shuffle'
    assert 'pip install "icet>=4.0"' in told['because']
    assert first.symbols.formula.count() == second.symbols.formula.count() == {'Al': 4, 'Mg': 4}
    assert [uid_of(a) for a in make(parent, count=2)] == [uid_of(first), uid_of(second)]


def test_the_random_solution_can_be_chosen():
    (atoms,) = make(lattice((2, 2, 2)), method='shuffle')
    told = json.loads(atoms.info['origin'])
    assert (told['method'], 'because' in told) == ('shuffle', False)


class TestSublattices:
    OXIDE = ({'Mg': 0.5, 'Ca': 0.5}, {'O': 1.0})

    def slot(self, occupation=OXIDE, supercell=(2, 2, 2), prototype='B1'):
        elements = tuple({e for part in occupation for e in part})
        return ideal_lattices.slot_of(System(elements, prototype, (occupation,), {}, (supercell,)), occupation, supercell)

    def test_each_sublattice_keeps_its_elements(self):
        slot = self.slot()
        atoms, other = SQS(per_composition=2, steps=200, cutoffs=(5.0,))(slot, np.random.default_rng(0))
        anions = atoms.numbers[slot.sublattices == 1]
        assert set(anions.tolist()) == {8}
        assert atoms.symbols.formula.count() == {'Mg': 4, 'Ca': 4, 'O': 8}
        assert json.loads(other.info['origin'])['counts'] == [{'Mg': 4, 'Ca': 4}, {'O': 8}]

    def test_two_mixed_sublattices(self):
        occupation = ({'Mg': 0.5, 'Ca': 0.5}, {'O': 0.75, 'S': 0.25})
        slot = self.slot(occupation)
        (atoms,) = SQS(per_composition=1, steps=200, cutoffs=(5.0,))(slot, np.random.default_rng(0))
        assert set(atoms.numbers[slot.sublattices == 0].tolist()) == {12, 20}
        assert atoms.symbols.formula.count() == {'Mg': 4, 'Ca': 4, 'O': 6, 'S': 2}

    def test_a_misfit_names_the_sublattice_sites(self):
        with pytest.raises(InputError, match='on 8 sites; the nearest that does is'):
            list(SQS(per_composition=1)(self.slot(({'Mg': 0.9, 'Ca': 0.1}, {'O': 1.0})), np.random.default_rng(0)))


def reference(parent, steps, seed):
    """Return icet's own quasirandom structure, and its cluster space."""
    space = icet.ClusterSpace(parent, [6.0, 4.0], ['Al', 'Mg'])
    uniform = parent.copy()
    return space, structure_generation.generate_sqs_from_supercells(
        space, [uniform], {'Al': 0.5, 'Mg': 0.5}, n_steps=steps, random_seed=seed
    )


@pytest.mark.parametrize('seed', range(4))
def test_as_near_to_random_as_icets_own_with_the_same_steps(seed):
    parent = lattice((4, 2, 2))
    ours = make(parent, steps=500, seed=seed)[0]
    told = json.loads(ours.info['origin'])
    space, theirs = reference(parent, 500, told['seed'])
    targets = {'A': {'Al': 0.5, 'Mg': 0.5}}
    assert cluster_vector_distance(space, ours, targets) <= cluster_vector_distance(space, theirs, targets) + 1e-9


def test_the_told_distance_is_that_to_the_random_alloy():
    parent = lattice((4, 4, 2))
    (atoms,) = make(parent, steps=2000, cutoffs=(5.0,))
    told = json.loads(atoms.info['origin'])
    space = icet.ClusterSpace(parent, [5.0], ['Al', 'Mg'])
    vector = space.get_cluster_vector(atoms)  # of the random 50:50 alloy, all but the first are 0
    assert told['distance'] == pytest.approx(np.linalg.norm(vector[1:]), abs=1e-6)
    slot = slot_of(parent, HALF)
    shuffles = []
    for seed in range(20):
        random_alloy = parent.copy()
        random_alloy.numbers[:] = shuffled(slot, slot_counts(slot), np.random.default_rng(seed))
        shuffles.append(np.linalg.norm(space.get_cluster_vector(random_alloy)[1:]))
    assert told['distance'] < min(shuffles)


class TestRandomLimit:
    def test_beside_the_annealed_ones_which_stay_as_they_are(self):
        parent = lattice((4, 2, 2))
        alone, both = make(parent, count=3), make(parent, count=3, random=2)
        told = [json.loads(atoms.info['origin']) for atoms in both]
        assert [one['method'] for one in told] == ['icet'] * 3 + ['shuffle'] * 2
        assert [uid_of(atoms) for atoms in both[:3]] == [uid_of(atoms) for atoms in alone]
        assert all(atoms.symbols.formula.count() == {'Al': 8, 'Mg': 8} for atoms in both)

    def test_it_is_farther_from_the_endless_random_alloy(self):
        structures = make(lattice((4, 4, 2)), count=3, random=8, steps=2000)
        told = [json.loads(atoms.info['origin']) for atoms in structures]
        annealed = [one['distance'] for one in told if one['method'] == 'icet']
        assert max(annealed) < np.median([one['distance'] for one in told if one['method'] == 'shuffle'])
        assert told_distances([atoms.info['origin'] for atoms in structures]) == sorted(annealed)

    def test_alone(self):
        assert [json.loads(a.info['origin'])['method'] for a in make(lattice((2, 2, 2)), count=0, random=2)] == ['shuffle'] * 2

    def test_a_negative_number(self):
        with pytest.raises(ValidationError, match='random'):
            SQS(random=-1)


class TestOptimalityWeight:
    """With icet's weight an exact first shell may be paid with order in the second; on 8 sites all answers can be counted."""

    def distances(self, weight):
        structures = make(lattice((2, 2, 2)), count=3, cutoffs=(5.0,), optimality_weight=weight)
        return [json.loads(atoms.info['origin'])['distance'] for atoms in structures]

    def test_without_weight_the_nearest_of_all_is_found(self):
        parent = lattice((2, 2, 2))
        space = icet.ClusterSpace(parent, [5.0], ['Al', 'Mg'])
        every = []
        for chosen in itertools.combinations(range(8), 4):
            atoms = parent.copy()
            atoms.numbers = np.where(np.isin(range(8), chosen), 12, 13)
            every.append(cluster_vector_distance(space, atoms, {'A': HALF}))
        assert self.distances(0.0) == pytest.approx([min(every)] * 3, abs=1e-6)
        assert max(self.distances(1.0)) > min(every) + 0.1

    def test_it_is_told_where_it_is_not_that_of_icet(self):
        told = [json.loads(make(lattice((2, 2, 2)), optimality_weight=w)[0].info['origin']) for w in (0.0, 1.0)]
        assert [one.get('optimality_weight') for one in told] == [0.0, None]

    def test_a_negative_one(self):
        with pytest.raises(ValidationError, match='optimality_weight'):
            SQS(optimality_weight=-1.0)
