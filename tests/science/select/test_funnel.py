"""The funnel: each reason, the order of its stages, what is counted, and that work is done for survivors only."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.science.generate.isolated import isolated_atoms
from aiida_mlip_autopipe.science.select.funnel import FunnelLimits, select, standardise
from aiida_mlip_autopipe.science.select.sanity import SanityLimits


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


def run(structures, *, known=None, featurize=volume, **options):
    frames = Frames.from_atoms(structures)
    return select(
        frames, known=None if known is None else Frames.from_atoms(known), featurize=featurize, limits=limits(**options)
    )


POOL = [clash(), crystal(4.0), crystal(4.0), crystal(4.0001), crystal(4.2), crystal(4.4, 'rattle'), crystal(4.05, 'rattle')]


def test_reasons_counts_and_picks():
    chosen = run(POOL)
    assert chosen.reasons == ['short_bond', '', 'duplicate', 'duplicate', 'not_selected', '', 'not_selected']
    assert chosen.indices.tolist() == [5, 1]  # the mean lies nearer to 4.0
    assert chosen.counts == {'generated': 7, 'sane': 6, 'unique': 4, 'selected': 2}
    assert chosen.by_config_type == {
        'rattle': {'generated': 3, 'sane': 2, 'unique': 2, 'selected': 1},
        'strain': {'generated': 4, 'sane': 4, 'unique': 2, 'selected': 1},
    }
    assert list(chosen.counts) == ['generated', 'sane', 'unique', 'selected']


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
    assert chosen.counts == {'generated': 2, 'sane': 0, 'unique': 0, 'selected': 0}
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
    chosen = select(frames, known=known, featurize=volume, limits=limits(budget=7), pick=last, rng=rng)
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
        (lambda frames: np.full((len(frames), 2), np.nan), 'frame 0 are not finite'),
    ],
)
def test_unusable_features(featurize, text):
    with pytest.raises(InputError, match=text):
        run(POOL, featurize=featurize)


@pytest.mark.parametrize(('wrong', 'text'), [({'budget': -1}, 'budget .* got -1'), ({'tolerance': -0.5}, 'got -0.5')])
def test_limits_out_of_range(wrong, text):
    with pytest.raises(InputError, match=text):
        limits(**wrong)


def test_standardise():
    scaled = standardise(np.array([[1.0, 5.0, 1e9], [3.0, 5.0, 1e9 + 1e-6]]))
    np.testing.assert_allclose(scaled, [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
