"""The test set: no lineage and no structure of training in it, every composition and config_type, evenly."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry import cellpar_to_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.science.generate.collect import collect
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.testset import (
    LARGEST_STRAIN,
    OWN_DRAW,
    STDEV,
    Limits,
    candidates,
    choose,
    choose_md,
    compositions,
    lineage_for_test,
    md_shares,
    md_starts,
    needed,
    temperatures_of,
)
from tests.config.settings import changed
from tests.science.generate.crystals import equivalent

LIMITS = Limits(min_bond_fraction=0.6, max_skew=60.0, volume=None, tolerance=0.002)
GENERATE = {
    'generate.sqs': {'per_composition': 2, 'steps': 50, 'cutoffs': [4.0]},
    'generate.strain': {'count': 2, 'max_strain': 0.04, 'hydrostatic': [-0.04, 0.04]},
    'generate.rattle': {'count': 3, 'stdev': 0.1},
    'generate.vacancy': {'count': 2},
    'generate.eos': {'count': 4},
    'generate.elastic': {'sizes': [0.01]},
    'generate.phonon': {'distance': 0.05},
    'generate.ordered': {},
    'generate.dimer': {'count': 3},
    'generate.isolated_atom': {},
}
SEED, OTHER_SEED = 1, 501


def generated(seed: int, changes: dict[str, object] | None = None) -> Frames:
    config = MLIPConfig.from_mapping(changed({**GENERATE, **(changes or {})}))
    builder = structure_builder(config.system.model_dump(), config.generate.model_dump())
    return collect(builder, seed)[0]


@pytest.fixture(scope='module')
def training() -> Frames:
    return generated(SEED)


@pytest.fixture(scope='module')
def found(training):
    return candidates(training, generated(OTHER_SEED), limits=LIMITS, rng=np.random.default_rng(0))


def kinds_of(frames: Frames) -> set[str]:
    return set(frames.config_type.tolist())


class TestCandidates:
    def test_no_lineage_is_on_both_sides(self, training, found):
        for frames in (found.frames, found.bases):
            assert not set(frames.lineage.tolist()) & set(training.lineage.tolist())

    def test_no_structure_is_on_both_sides(self, training, found):
        """Not even moved, rotated or permuted: what sets without chance give again is drawn anew."""
        assert not set(found.frames.uid.tolist()) & set(training.uid.tolist())
        by_size: dict[tuple[int, ...], list[Atoms]] = {}
        for atoms in training:
            if atoms.pbc.all() and len(atoms) > 2:
                by_size.setdefault(tuple(sorted(atoms.numbers)), []).append(atoms)
        checked = found.frames.take(np.random.default_rng(0).permutation(len(found.frames))[:40])
        for atoms in checked:
            assert not any(equivalent(atoms, other, LIMITS.tolerance) for other in by_size.get(tuple(sorted(atoms.numbers)), ()))

    def test_every_config_type_and_composition_of_training_is_there(self, training, found):
        assert kinds_of(found.frames) == kinds_of(training) - {ISOLATED_ATOM, 'dimer'}
        assert {'Cu', 'AuCu', 'Au'} <= set(compositions(found.frames))

    def test_sets_without_chance_are_drawn_anew_and_keep_their_kind(self, found):
        own = [atoms for atoms in found.frames if OWN_DRAW in json.loads(atoms.info['origin'])]
        assert len(own) == found.n_own_draws > 0
        assert {'eos', 'elastic', 'phonon', 'ordered', 'sqs'} <= {atoms.info['config_type'] for atoms in own}
        for atoms in own:
            told = json.loads(atoms.info['origin'])[OWN_DRAW]
            assert max(map(abs, told['strain'])) <= LARGEST_STRAIN
            assert STDEV[0] <= told['stdev'] <= STDEV[1]

    def test_an_own_draw_lies_near_what_it_was_drawn_from(self, training, found):
        index = next(i for i, text in enumerate(found.frames.origin) if OWN_DRAW in text)
        atoms = found.frames.atoms(index)
        parent = training.atoms(training.uid.tolist().index(atoms.info['parent']))
        ratio = atoms.cell.array @ np.linalg.inv(parent.cell.array)
        assert 0 < np.abs(ratio - np.eye(3)).max() <= 3 * LARGEST_STRAIN
        assert atoms.symbols.get_chemical_formula() == parent.symbols.get_chemical_formula()

    def test_draws_from_a_crystal_that_training_has_are_lineages_of_their_own(self, found):
        """What descends from one draw, as rattles of a strained cell, shares one."""
        elements = {atoms.info['uid']: atoms.info for atoms in found.frames if len(set(atoms.symbols)) == 1}
        draws = [info['lineage'] for info in elements.values() if info['parent'] not in elements]
        assert len(set(draws)) > 0.7 * len(draws) > 10
        children = [info for info in elements.values() if info['parent'] in elements]
        assert all(info['lineage'] == elements[info['parent']]['lineage'] for info in children)

    def test_frames_of_a_decoration_that_training_has_not_share_a_lineage(self):
        """A cell of 16 atoms has many decorations, so that another seed gives others."""
        big = {'system.supercells': [[2, 2, 4]], 'system.compositions': [{'Cu': 0.5, 'Au': 0.5}]}
        training, drawn = (generated(seed, big) for seed in (SEED, OTHER_SEED))
        found = candidates(training, drawn, limits=LIMITS, rng=np.random.default_rng(0))
        roots = drawn.take(np.flatnonzero((drawn.uid == drawn.lineage) & (drawn.config_type == 'sqs')))
        counts = Counter(found.frames.lineage.tolist())
        assert max(counts[lineage_for_test(uid)] for uid in roots.uid.tolist()) > 5

    def test_bases_are_undistorted_and_of_their_own_lineage(self, found):
        assert kinds_of(found.bases) == {'sqs', 'ordered'}
        for atoms in found.bases:
            assert atoms.info['lineage'] == lineage_for_test(atoms.info['uid'])

    def test_a_vacancy_does_not_make_a_composition(self, found):
        vacancies = [atoms for atoms in found.frames if atoms.info['config_type'] == 'vacancy']
        assert {json.loads(atoms.info['origin'])['composition'] for atoms in vacancies} <= {'Cu', 'AuCu', 'Au', 'AuCu3', 'Au3Cu'}

    def test_what_chance_left_out_is_drawn_from_training(self, training):
        drawn = generated(OTHER_SEED)
        without = drawn.take(np.flatnonzero(drawn.config_type != 'vacancy'))
        found = candidates(training, without, limits=LIMITS, rng=np.random.default_rng(0))
        assert 'vacancy' in kinds_of(found.frames)
        assert not set(found.frames.uid.tolist()) & set(training.uid.tolist())
        assert not set(found.frames.lineage.tolist()) & set(training.lineage.tolist())

    def test_a_pool_that_is_made_again_is_drawn_anew_as_a_whole(self, training):
        found = candidates(training, training, limits=LIMITS, rng=np.random.default_rng(0))
        assert found.n_own_draws == len(found.frames)
        assert not set(found.frames.uid.tolist()) & set(training.uid.tolist())

    def test_insane_frames_are_left_out(self, training):
        squeezed = generated(OTHER_SEED)
        small = squeezed.replace(cells=0.4 * squeezed.cells, positions=0.4 * squeezed.positions)
        found = candidates(training.take([]), small, limits=LIMITS, rng=np.random.default_rng(0))
        assert len(found.frames) == 0

    def test_the_volume_window_counts(self, training):
        limits = Limits(0.6, 60.0, (1.0, 2.0), 0.002)
        assert len(candidates(training, generated(OTHER_SEED), limits=limits, rng=np.random.default_rng(0)).frames) == 0

    def test_the_seed_decides(self, training):
        drawn = generated(OTHER_SEED)
        uids = [
            candidates(training, drawn, limits=LIMITS, rng=np.random.default_rng(seed)).frames.uid.tolist() for seed in (0, 0, 1)
        ]
        assert uids[0] == uids[1]
        assert uids[0] != uids[2]


CELLS = [('sqs', 'a'), ('sqs', 'b'), ('strain', 'a'), ('strain', 'b'), ('rattle', 'a'), ('rattle', 'b')]


class TestChoose:
    def test_cells_are_filled_evenly(self):
        cells = [cell for cell in CELLS for _ in range(5)]
        chosen = choose(cells, [str(i) for i in range(30)], 12, np.random.default_rng(0))
        assert Counter(cells[index] for index in chosen) == dict.fromkeys(CELLS, 2)

    def test_fewer_than_cells_are_spread_over_both(self):
        cells = [cell for cell in CELLS for _ in range(5)]
        chosen = [cells[index] for index in choose(cells, ['x'] * 30, 4, np.random.default_rng(0))]
        assert Counter(kind for kind, _ in chosen).most_common()[-1][1] >= 1
        assert Counter(formula for _, formula in chosen) == {'a': 2, 'b': 2}

    def test_small_cells_leave_their_places_to_others(self):
        cells = [('sqs', 'a'), *[('rattle', 'a')] * 10]
        assert len(choose(cells, ['x'] * 11, 6, np.random.default_rng(0))) == 6

    def test_all_are_taken_where_there_are_fewer(self):
        assert choose(CELLS, ['x'] * 6, 50, np.random.default_rng(0)).tolist() == list(range(6))

    def test_lineages_take_turns(self):
        lineages = ['one'] * 20 + ['two', 'three', 'four']
        chosen = choose([('rattle', 'a')] * 23, lineages, 4, np.random.default_rng(0))
        assert {lineages[index] for index in chosen} == {'one', 'two', 'three', 'four'}

    def test_too_few_are_refused_with_the_number_needed(self):
        with pytest.raises(InputError, match=r'^2 test frames cannot hold each of 3 config_types and 2 compositions; 3 can$'):
            choose(CELLS, ['x'] * 6, 2, np.random.default_rng(0))
        assert needed(CELLS) == 3

    def test_no_candidate_no_frame(self):
        assert needed([]) == len(choose([], [], 3, np.random.default_rng(0))) == 0

    def test_the_number_needed_is_the_smallest(self):
        """A kind of one composition alone must not take the place of one that has no other."""
        assert needed([('a', 'x'), ('a', 'y'), ('b', 'x'), ('c', 'z')]) == 3
        assert needed([('a', 'x'), ('b', 'x'), ('c', 'x')]) == 3

    @given(st.lists(st.tuples(st.sampled_from('abcde'), st.sampled_from('vwxyz')), min_size=1, max_size=40), st.integers(0, 99))
    @settings(deadline=None)
    def test_everything_is_covered_from_the_number_needed_on(self, cells, seed):
        count = needed(cells)
        chosen = [cells[index] for index in choose(cells, ['x'] * len(cells), count, np.random.default_rng(seed))]
        assert len(chosen) == count
        for side in (0, 1):
            assert {cell[side] for cell in chosen} == {cell[side] for cell in cells}
        assert count >= max(len({cell[side] for cell in cells}) for side in (0, 1))


class TestMd:
    def test_shares_add_up(self):
        assert md_shares(12, [900.0, 300.0, 1500.0]) == {300.0: 4, 900.0: 4, 1500.0: 4}
        assert md_shares(5, [300.0, 900.0]) == {300.0: 3, 900.0: 2}

    @pytest.mark.parametrize(('count', 'expected'), [(1, 5), (5, 5), (6, 6)])
    def test_starts_are_of_all_compositions_in_turn(self, found, count, expected):
        starts = md_starts(found.bases, count=count, supercell=(1, 1, 1), max_atoms=200, rng=np.random.default_rng(0))
        assert len(starts) == expected
        assert set(compositions(starts)) == set(compositions(found.bases))
        assert set(starts.lineage.tolist()) <= set(found.bases.lineage.tolist())

    def test_starts_are_repeated_as_far_as_they_can_be_labelled(self, found):
        bases = found.bases.take([0])
        n_atoms = len(bases.numbers)
        big, small = (
            md_starts(bases, count=1, supercell=(2, 1, 1), max_atoms=limit, rng=np.random.default_rng(0))
            for limit in (2 * n_atoms, 2 * n_atoms - 1)
        )
        assert (len(big.numbers), len(small.numbers)) == (2 * n_atoms, n_atoms)
        assert big.uid[0] != bases.uid[0]
        assert big.lineage[0] == bases.lineage[0]

    @pytest.fixture
    def samples(self) -> Frames:
        structures = []
        for number, (temperature, element) in enumerate((t, e) for t in (300.0, 900.0) for e in ('Cu', 'Au') for _ in range(4)):
            atoms = bulk(element, cubic=True)
            atoms.positions += np.random.default_rng(number).normal(scale=0.05, size=(4, 3))
            atoms.info.update(config_type='md', lineage=element, origin=json.dumps({'temperature': temperature}))
            structures.append(atoms)
        return Frames.from_atoms(structures)

    def test_each_temperature_has_its_share_of_both_compositions(self, samples):
        chosen = choose_md(samples, {300.0: 4, 900.0: 2}, limits=LIMITS, rng=np.random.default_rng(0))
        found = Counter(zip(temperatures_of(chosen).tolist(), compositions(chosen), strict=True))
        assert found == {(300.0, 'Cu'): 2, (300.0, 'Au'): 2, (900.0, 'Cu'): 1, (900.0, 'Au'): 1}

    def test_what_there_is_is_taken(self, samples):
        chosen = choose_md(samples, {300.0: 99, 700.0: 3}, limits=LIMITS, rng=np.random.default_rng(0))
        assert temperatures_of(chosen).tolist() == [300.0] * 8

    def test_a_frame_with_a_short_bond_is_none(self, samples):
        bad = samples.replace(positions=np.where(np.arange(len(samples.numbers))[:, None] == 1, 0.1, samples.positions))
        chosen = choose_md(bad, {300.0: 8}, limits=LIMITS, rng=np.random.default_rng(0))
        assert len(chosen) == 7


def test_compositions_of_imported_frames_are_those_of_their_lineage():
    """A frame with a vacancy counts to what most of its lineage are; an origin that is no JSON tells nothing."""
    full, hole = bulk('Al', cubic=True), bulk('Al', cubic=True)
    full.symbols[0] = 'Cu'
    hole.symbols[0] = 'Cu'
    del hole[3]
    for atoms in (full, hole):
        atoms.info.update(lineage='x', origin='from a paper')
    frames = Frames.from_atoms([full, full.copy(), hole, Atoms('Al', cell=cellpar_to_cell([4, 4, 4, 90, 90, 90]), pbc=True)])
    assert compositions(frames) == ['Al3Cu', 'Al3Cu', 'Al3Cu', 'Al']
