"""The funnel: each reason, the order of its stages, what is counted, and that work is done for survivors only."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.science.generate.isolated import isolated_atoms
from aiida_mlip_autopipe.science.selection.d_optimal import AtomRows
from aiida_mlip_autopipe.science.selection.fps import farthest_from_medoid, farthest_points
from aiida_mlip_autopipe.science.selection.funnel import (
    AtomSelector,
    FunnelLimits,
    Screened,
    reduced_formulas,
    select,
    standardise,
    trajectories_of,
)
from aiida_mlip_autopipe.science.selection.quotas import Quotas
from aiida_mlip_autopipe.science.selection.random_points import random_points
from aiida_mlip_autopipe.science.selection.sanity import SanityLimits
from aiida_mlip_autopipe.science.selection.window import Window


def crystal(a, config_type='strain', symbol='Al'):
    atoms = bulk(symbol, 'fcc', a=a, cubic=True)
    atoms.info['config_type'] = config_type
    return atoms


def clash():
    atoms = Atoms('Al2', [[0, 0, 0], [0.5, 0, 0]], cell=[10] * 3, pbc=True)
    atoms.info['config_type'] = 'rattle'
    return atoms


def volume(frames):
    """Return one feature, the lattice parameter, and a constant one."""
    return np.stack([np.cbrt(np.linalg.det(frames.cells)), np.ones(len(frames))], axis=1)


def limits(budget=2, tolerance=0.01):
    return FunnelLimits(budget, SanityLimits(), tolerance)


def screening(featurize):
    return lambda frames: Screened(featurize(frames))


def run(structures, *, known=None, featurize=volume, **options):
    frames = Frames.from_atoms(structures)
    return select(
        frames, known=None if known is None else Frames.from_atoms(known), screen=screening(featurize), limits=limits(**options)
    )


POOL = [clash(), crystal(4.0), crystal(4.0), crystal(4.0001), crystal(4.2), crystal(4.4, 'rattle'), crystal(4.05, 'rattle')]


def test_reasons_counts_and_picks():
    chosen = run(POOL)
    assert chosen.reasons == ['short_bond', '', 'duplicate', 'duplicate', 'not_selected', '', 'not_selected']
    assert chosen.indices.tolist() == [5, 1]  # the mean lies nearer to 4.0
    assert chosen.counts == {'generated': 7, 'sane': 6, 'unique': 4, 'inside': 4, 'selected': 2}
    assert chosen.by_config_type == {
        'rattle': {'generated': 3, 'sane': 2, 'unique': 2, 'inside': 2, 'selected': 1},
        'strain': {'generated': 4, 'sane': 4, 'unique': 2, 'inside': 2, 'selected': 1},
    }
    assert list(chosen.counts) == ['generated', 'sane', 'unique', 'inside', 'selected']


def test_known_frames_and_their_near_duplicates():
    chosen = run(POOL, known=[crystal(4.2), crystal(4.0002)])
    assert chosen.reasons[4] == 'already_labelled'
    assert chosen.reasons[1:4] == ['already_labelled', 'duplicate', 'already_labelled']
    assert chosen.indices.tolist() == [5, 6]


def test_every_frame_is_accounted_for():
    chosen = run(POOL, budget=1)
    assert len(chosen.reasons) == len(POOL)
    assert [i for i, reason in enumerate(chosen.reasons) if not reason] == sorted(chosen.indices.tolist())
    for stage, number in chosen.counts.items():
        assert number == sum(count[stage] for count in chosen.by_config_type.values())


def test_features_of_survivors_only():
    seen = []

    def featurize(frames):
        seen.append(frames.uid.tolist())
        return volume(frames)

    known = [crystal(4.3)]
    run(POOL, known=known, featurize=featurize)
    pool = Frames.from_atoms(POOL)
    assert seen == [pool.uid[[1, 3, 4, 5, 6]].tolist(), Frames.from_atoms(known).uid.tolist()]


def test_nothing_sane_asks_for_no_features():
    def featurize(frames):
        raise AssertionError(f'{len(frames)} frames were featurised')

    chosen = run([clash(), clash()], featurize=featurize)
    assert chosen.reasons == ['short_bond'] * 2
    assert chosen.counts == {'generated': 2, 'sane': 0, 'unique': 0, 'inside': 0, 'selected': 0}
    empty = run([], featurize=featurize)
    assert empty.indices.shape == (0,)
    assert empty.counts['generated'] == 0


def test_all_known_already():
    chosen = run([crystal(4.0), crystal(4.2)], known=[crystal(4.0001), crystal(4.2)])
    assert chosen.reasons == ['already_labelled'] * 2
    assert chosen.indices.shape == (0,)


def test_equal_features_of_other_formula_are_no_duplicates():
    chosen = run([crystal(4.0), crystal(4.0, symbol='Cu'), crystal(4.4)], budget=3)
    assert chosen.reasons == ['', '', '']


def test_isolated_atoms_do_not_stretch_the_features():
    known = [crystal(4.3), crystal(4.1), *isolated_atoms(['Al'], 15.0)]
    assert known[-1].info['config_type'] == ISOLATED_ATOM
    with_atoms, without = run(POOL, known=known), run(POOL, known=known[:2])
    assert with_atoms.reasons == without.reasons
    assert run(POOL, known=known[2:]).reasons == run(POOL).reasons


def test_no_budget():
    chosen = run(POOL, budget=0)
    assert chosen.indices.shape == (0,)
    assert set(chosen.reasons) == {'short_bond', 'duplicate', 'not_selected'}


def test_selector_gets_standardised_features_budget_and_rng():
    calls = []

    def last(features, count, *, known, rng):
        calls.append((features, count, known, rng))
        return np.array([len(features) - 1])

    rng = np.random.default_rng(0)
    frames, known = Frames.from_atoms(POOL[4:]), Frames.from_atoms([crystal(4.6)])
    chosen = select(frames, known=known, screen=screening(volume), limits=limits(budget=7), pick=last, rng=rng)
    ((features, count, known_features, given),) = calls
    together = np.concatenate([features, known_features])
    np.testing.assert_allclose(together.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(together.std(axis=0), [1.0, 0.0], atol=1e-12)
    assert count == 7
    assert given is rng
    assert chosen.indices.tolist() == [2]


def test_same_input_same_selection_whatever_the_scale():
    first, again = run(POOL), run(POOL, featurize=lambda frames: 1e3 * volume(frames))
    assert first.reasons == again.reasons
    np.testing.assert_array_equal(first.indices, again.indices)


@pytest.mark.parametrize(
    ('featurize', 'text'),
    [
        (lambda frames: np.ones((1, 2)), 'one row for each frame'),
        (lambda frames: np.ones(len(frames)), 'one row for each frame'),
    ],
)
def test_unusable_features(featurize, text):
    with pytest.raises(InputError, match=text):
        run(POOL, featurize=featurize)


@pytest.mark.parametrize(('wrong', 'text'), [({'budget': -1}, 'budget .* got -1'), ({'tolerance': -0.5}, 'got -0.5')])
def test_limits_out_of_range(wrong, text):
    with pytest.raises(InputError, match=text):
        limits(**wrong)


def test_features_that_are_not_finite_are_a_reason():
    def featurize(frames):
        features = volume(frames)
        features[1, 0] = np.nan
        return features

    chosen = run(POOL[1:2] + POOL[4:], featurize=featurize, budget=5)
    assert chosen.reasons == ['', 'not_finite', '', '']
    assert chosen.counts == {'generated': 4, 'sane': 4, 'unique': 4, 'inside': 3, 'selected': 3}
    assert run(POOL, featurize=lambda frames: np.full((len(frames), 2), np.inf)).counts['inside'] == 0


def test_known_frames_whose_features_are_not_finite_do_not_count():
    def featurize(frames):
        features = volume(frames)
        features[np.abs(features[:, 0] - 4.9) < 0.01] = np.nan
        return features

    with_broken, without = run(POOL, known=[crystal(4.9), crystal(4.3)], featurize=featurize), run(POOL, known=[crystal(4.3)])
    assert with_broken.reasons == without.reasons


def test_columns_of_known_frames_must_fit():
    with pytest.raises(InputError, match='known frames have 1 columns, those of the pool 7'):
        run(
            POOL[1:2] + POOL[4:] + [crystal(a) for a in (4.5, 4.6, 4.7)], known=[crystal(4.3)], featurize=lambda f: np.eye(len(f))
        )


def test_window_reasons_count_as_unique_but_not_inside():
    def screen(frames):
        return Screened(volume(frames), energies=np.zeros(len(frames)), forces=np.where(volume(frames)[:, 0] > 4.1, 99.0, 0.0))

    frames = Frames.from_atoms(POOL)
    window = Window(force_cap=50.0, volume=(16.3, 100.0))
    chosen = select(frames, known=None, screen=screen, limits=FunnelLimits(3, SanityLimits(), 0.01, window))
    assert chosen.reasons == ['short_bond', 'volume_window', 'duplicate', 'duplicate', 'force_cap', 'force_cap', '']
    assert chosen.counts == {'generated': 7, 'sane': 6, 'unique': 4, 'inside': 1, 'selected': 1}


def test_quotas_are_met_exactly_and_the_picks_of_a_cell_avoid_each_other():
    pool = [crystal(4.0 + 0.01 * i, ('strain', 'rattle')[i % 2], ('Al', 'Cu')[i // 2 % 2]) for i in range(40)]
    quotas = Quotas({'rattle': 0.75}, {'Al': 0.5})
    frames = Frames.from_atoms(pool)
    for pick in (farthest_points, random_points):
        chosen = select(
            frames,
            known=None,
            screen=screening(volume),
            limits=FunnelLimits(8, SanityLimits(), 1e-6, Window(), quotas),
            pick=pick,
            rng=np.random.default_rng(0),
        )
        assert len(set(chosen.indices.tolist())) == 8
        assert (frames.config_type[chosen.indices] == 'rattle').sum() == 6
        assert sum(formula == 'Al' for formula in reduced_formulas(frames.take(chosen.indices))) == 4


@pytest.mark.parametrize('pick', [farthest_points, farthest_from_medoid, random_points])
def test_no_selector_picks_a_near_copy_of_a_labelled_frame(pick):
    known = [crystal(4.0 + 0.05 * i) for i in range(6)]
    copies = [crystal(4.0 + 0.05 * i + 1e-6) for i in range(6)]
    frames = Frames.from_atoms([*copies, crystal(4.22), crystal(4.33)])
    limits_of = FunnelLimits(8, SanityLimits(), 0.01)
    options = {'known': Frames.from_atoms(known), 'screen': screening(volume), 'limits': limits_of, 'pick': pick}
    chosen = select(frames, **options, rng=np.random.default_rng(0))
    assert sorted(chosen.indices.tolist()) == [6, 7]
    assert chosen.reasons[:6] == ['already_labelled'] * 6


def test_reduced_formulas():
    assert reduced_formulas(Frames.from_atoms([Atoms('Mg2Al6'), Atoms('Al8'), Atoms('MgAl')])) == ['Al3Mg', 'Al', 'AlMg']


def test_standardise():
    scaled = standardise(np.array([[1.0, 5.0, 1e9], [3.0, 5.0, 1e9 + 1e-6]]))
    np.testing.assert_allclose(scaled, [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])


def chosen_first(structures, first, *, budget, quotas=None, pick=farthest_points, known=None, window=None):
    return select(
        Frames.from_atoms(structures),
        known=None if known is None else Frames.from_atoms(known),
        screen=screening(volume),
        limits=FunnelLimits(budget, SanityLimits(), 0.01, window or Window(), quotas or Quotas({}, {}), first=frozenset(first)),
        pick=pick,
    )


BASES = [crystal(4.04 + 0.01 * number, 'sqs') for number in range(3)]
SHAKEN = [crystal(3.6 + 0.1 * number, 'rattle') for number in range(8)]


class TestFirst:
    """What the configuration asks for is bought before the selector spends the rest."""

    def test_farthest_points_alone_leave_the_crystals_out(self):
        """The fault this rule is for: 0 of 3 crystals among 4 picks."""
        found = chosen_first([*BASES, *SHAKEN], (), budget=4)
        assert found.by_config_type['sqs']['selected'] == 0

    def test_all_of_them_are_taken_and_the_rest_is_picked_beside_them(self):
        found = chosen_first([*SHAKEN, *BASES], ('sqs',), budget=5)
        assert found.indices.tolist()[:3] == [8, 9, 10]
        assert set(found.indices.tolist()[3:]) == {0, 7}, 'the farthest from the crystals'

    def test_near_duplicates_of_each_other_stay(self):
        """A strain of half a per cent is what an elastic constant is made of."""
        fine = [crystal(4.0 + 0.0004 * number, 'elastic') for number in range(4)]
        assert chosen_first([*fine, *SHAKEN], (), budget=12).counts['selected'] < 12
        assert chosen_first([*fine, *SHAKEN], ('elastic',), budget=12).by_config_type['elastic']['selected'] == 4

    def test_no_window_keeps_them_out(self):
        window = Window(volume=(17.0, 20.0))
        assert chosen_first(BASES, (), budget=3, window=window).counts['selected'] == 0
        assert chosen_first(BASES, ('sqs',), budget=3, window=window).counts['selected'] == 3

    def test_what_is_insane_or_known_is_not_bought(self):
        broken = clash()
        broken.info['config_type'] = 'sqs'
        found = chosen_first([broken, *BASES], ('sqs',), budget=4, known=[BASES[1]])
        assert found.reasons == ['short_bond', '', 'already_labelled', '']

    def test_quotas_count_them(self):
        quotas = Quotas({'sqs': 0.25, 'rattle': 0.75}, {})
        found = chosen_first([*SHAKEN, *BASES], ('sqs',), budget=8, quotas=quotas)
        assert {name: count['selected'] for name, count in found.by_config_type.items()} == {'sqs': 3, 'rattle': 5}

    def test_more_than_the_budget_is_refused_with_the_number(self):
        with pytest.raises(InputError) as caught:
            chosen_first([*SHAKEN, *BASES], ('sqs', 'rattle'), budget=6)
        assert str(caught.value) == (
            '11 frames must be labelled first (rattle 8, sqs 3), but the budget of this round is 6: raise '
            'loop.initial_labels to at least 11, ask for fewer of them in generate, or shorten select.first'
        )


def before_failure(number, seed):
    """Return the frame of a step of a trajectory that failed after it."""
    atoms = crystal(4.50 + 0.01 * number + 0.1 * seed, 'md_failure')
    atoms.info.update(parent='base', origin=json.dumps({'temperature': 900.0, 'seed': seed, 'step': 10 * number}))
    return atoms


class TestBeforeFailures:
    """What MD failed on is learnt next, whatever the selector prefers; it may not take the whole round."""

    def bought(self, pool, budget, pick=lambda features, count, **_: np.arange(len(features))[:count]):
        limits = FunnelLimits(budget, SanityLimits(), 0.001)
        return select(Frames.from_atoms(pool), known=None, screen=screening(volume), limits=limits, pick=pick).indices.tolist()

    def test_the_last_frame_of_each_trajectory_comes_before_the_picks(self):
        pool = [*SHAKEN, *(before_failure(number, seed) for seed in (1, 2) for number in range(3))]
        assert self.bought(pool, 6) == [10, 13, 0, 1, 2, 3]

    def test_a_last_frame_that_is_insane_gives_way_to_the_one_before(self):
        broken = clash()
        broken.info.update(before_failure(3, 1).info)
        assert self.bought([before_failure(1, 1), before_failure(2, 1), broken, *SHAKEN], 2)[0] == 1

    def test_half_of_the_budget_at_most_which_the_selector_picks(self):
        pool = [*SHAKEN, *(before_failure(0, seed) for seed in range(6))]
        last = lambda features, count, **_: np.arange(len(features))[::-1][:count]  # noqa: E731
        assert self.bought(pool, 4, last)[:2] == [13, 12]
        assert self.bought(pool, 3, last)[:2] == [13, 12]
        assert self.bought(pool, 1, last) == [13]
        assert self.bought(pool, 0, last) == []

    def test_a_selector_to_whom_they_teach_nothing_does_not_keep_them_out(self):
        pool = [*SHAKEN, *(before_failure(0, seed) for seed in range(6))]
        nothing = lambda features, count, **_: np.zeros(0, dtype=np.int64)  # noqa: E731
        assert self.bought(pool, 4, nothing) == [8, 9]


class TestByAtoms:
    """A selector that looks at atoms sees those of the frames that passed, and which run each comes from."""

    def seen(self, pool, training=None):
        seen = []

        def pick(candidates, count, *, known, trajectories):
            seen.append((candidates, known, trajectories))
            return np.arange(len(candidates))[::-1][:count]

        def describe(frames):
            return AtomRows(frames.positions, np.zeros(len(frames.positions), dtype=np.int64), frames.counts)

        trained = None if training is None else Frames.from_atoms(training)
        found = chosen_first(pool, ('sqs',), budget=4, pick=AtomSelector(pick, describe, trained), known=[crystal(6.0)])
        return found, *seen[0]

    def test_it_picks(self):
        found, candidates, known, trajectories = self.seen([clash(), *SHAKEN])
        assert found.indices.tolist() == [8, 7, 6, 5]
        assert len(candidates) == 8
        assert known is None
        assert len(set(trajectories)) == 8

    def test_the_training_set_and_what_comes_first_stand_beside(self):
        found, candidates, known, _ = self.seen([*BASES, *SHAKEN], training=[crystal(5.0), *isolated_atoms(['Al'], 12.0)])
        assert found.indices.tolist()[:3] == [0, 1, 2]
        assert len(candidates) == 8
        assert known.counts.tolist() == [4, 4, 4, 4]
        assert known.rows[:4].max() == pytest.approx(2.5), 'the training frame; one that is only known does not count'

    def test_frames_of_one_run_share_a_name(self):
        def of_run(number, seed):
            atoms = crystal(3.6 + 0.1 * number, 'md')
            told = {'strategy': 'md', 'temperature': 300.0, 'seed': seed, 'step': 10 * number, 'gamma_max': 3.0 + number}
            atoms.info.update(parent='base', origin=json.dumps(told))
            return atoms

        names = trajectories_of(Frames.from_atoms([of_run(0, 1), of_run(1, 1), of_run(2, 2), crystal(4.0)]))
        assert names[0] == names[1]
        assert len(set(names)) == 3
