"""The verdict on a potential: every end state, every near miss of `converged`, default targets, and which potential is best."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.stopping import (
    Exam,
    Gate,
    RoundSummary,
    StopLimits,
    StopReason,
    best_round,
    decide,
    rounds_without_improvement,
    targets,
)

LIMITS = StopLimits(max_rounds=10, max_labels=1000, patience=2, share_above=0.01, force=0.1, energy=0.005, acquisition=0.2)
GOOD = RoundSummary(
    round=3,
    labels_total=60,
    n_test=30,
    test_force=0.06,
    test_force_high=0.09,
    test_energy=0.002,
    test_energy_high=0.004,
    train_force=0.03,
    train_energy=0.001,
    label_force=1.0,
    label_energy=0.05,
    acquisition_force=0.15,
)
PASSED = Exam(n_starts=6, n_at_top=6, top=1500.0, n_candidates=4, share_above_select=0.004, gate=Gate.PASSED)


def series(*errors: float, **changes: Any) -> list[RoundSummary]:
    """Rounds with these force errors on the frozen test set."""
    return [replace(GOOD, round=i, test_force=e, test_force_high=1.2 * e, **changes) for i, e in enumerate(errors)]


def test_values_are_texts() -> None:
    assert {reason.value for reason in StopReason} == {'converged', 'budget_exhausted', 'stalled', 'coverage_exhausted'}
    assert f'{StopReason.CONVERGED}' == 'converged'


def test_nothing_missing_is_converged() -> None:
    found = decide([GOOD], PASSED, LIMITS)
    assert (found.reason, found.shortfalls) == (StopReason.CONVERGED, ())
    assert found.sentence == (
        'All 6 starts passed 1500 K with 0.4% of MD above gamma_select; on the frozen test set the errors are at most 90 meV/Å '
        'and 4 meV/atom (targets 100 and 5); its physical properties passed.'
    )


def test_converged_comes_before_a_spent_budget_and_before_what_is_left_to_learn() -> None:
    tight = replace(LIMITS, max_rounds=1, max_labels=60)
    assert decide([GOOD], PASSED, tight).reason is StopReason.CONVERGED
    assert decide([GOOD], replace(PASSED, n_candidates=0), tight).reason is StopReason.CONVERGED


@pytest.mark.parametrize(
    ('summary', 'exam', 'said'),
    [
        ({}, {'n_at_top': 5}, '5 of 6 starts passed all temperatures up to 1500 K'),
        ({}, {'n_at_top': 0, 'n_starts': 0}, '0 of 0 starts passed all temperatures up to 1500 K'),
        ({}, {'share_above_select': 0.0101}, '1.0% of MD is above gamma_select, at most 1.0% is allowed'),
        ({}, {'share_above_select': None}, 'no step of MD was looked at'),
        ({'test_force_high': 0.101}, {}, 'the force error on the frozen test set may be 101, above its target of 100 meV/Å'),
        ({'test_force_high': math.nan}, {}, 'the force error on the frozen test set may be nan, above its target of 100 meV/Å'),
        ({'test_energy_high': 0.0051}, {}, 'the energy error on the frozen test set may be 5.1, above its target of 5 meV/atom'),
        (
            {'acquisition_force': 0.21},
            {},
            'the force error on the newest labels before training was 210, above its target of 200 meV/Å',
        ),
        ({}, {'gate': Gate.FAILED}, 'its physical properties did not pass'),
        ({}, {'gate': Gate.BROKEN}, 'its physical properties could not be judged (verdi process report says why)'),
        ({'passed_checks': False}, {}, 'it did not pass its self-checks'),
        ({}, {'waits_for_test': True}, 'frames of MD for the test set are not labelled yet'),
        ({}, {'untested': (300.0, 900.0)}, 'the test set has no frames of MD at 300, 900 K'),
        ({}, {'waits_for_test': True, 'n_candidates': 0}, 'frames of MD for the test set are not labelled yet'),
    ],
)
def test_a_near_miss_of_converged_goes_on_and_says_what_is_missing(
    summary: dict[str, Any], exam: dict[str, Any], said: str
) -> None:
    found = decide([replace(GOOD, **summary)], replace(PASSED, **exam), LIMITS)
    assert found.reason is None
    assert found.shortfalls == (said,)


@pytest.mark.parametrize('gate', [None, Gate.PASSED])
def test_a_gate_that_nobody_asked_for_is_not_missing(gate: Gate | None) -> None:
    assert decide([GOOD], replace(PASSED, gate=gate), LIMITS).reason is StopReason.CONVERGED


def test_the_first_potential_has_no_labels_that_it_was_tried_on_before() -> None:
    assert decide([replace(GOOD, acquisition_force=None)], PASSED, LIMITS).reason is StopReason.CONVERGED


def test_a_ladder_that_never_reached_its_top_is_not_converged_though_there_is_no_candidate() -> None:
    """A run that said so: 3 of 6 trajectories had ended after 10 steps by their temperature, the grade was 1.0."""
    found = decide([GOOD], replace(PASSED, n_at_top=3, n_candidates=0, share_above_select=0.0, gate=None), LIMITS)
    assert found.reason is StopReason.COVERAGE_EXHAUSTED
    assert found.sentence == (
        'MD found nothing new: add starts, temperatures or kinds of structures, or more first labels. '
        'Not converged: 3 of 6 starts passed all temperatures up to 1500 K.'
    )


def test_no_candidate_left_and_an_error_above_its_target() -> None:
    found = decide(series(0.5), replace(PASSED, n_candidates=0, is_probe=True), LIMITS)
    assert found.reason is StopReason.COVERAGE_EXHAUSTED
    assert 'may be 600, above its target of 100 meV/Å' in found.sentence


@pytest.mark.parametrize(
    ('missed', 'probes'),
    [
        ({'test_force_high': 0.101}, True),
        ({'test_energy_high': 0.0051}, True),
        ({'acquisition_force': 0.21}, True),
        ({'test_force_high': math.nan}, True),
        ({'acquisition_force': None, 'passed_checks': False}, False),
    ],
)
def test_an_error_above_its_target_is_probed_before_the_loop_gives_up(missed: dict[str, Any], probes: bool) -> None:
    """Labels of MD that the potential takes for known: an acquisition that failed could not be met any more without them."""
    missing, idle = replace(GOOD, **missed), replace(PASSED, n_candidates=0)
    for found in (decide([missing], idle, LIMITS), decide([missing], PASSED, LIMITS, n_selected=0)):
        assert found.reason is (None if probes else StopReason.COVERAGE_EXHAUSTED)
        assert found.shortfalls
    probe = replace(PASSED, is_probe=True)
    assert decide([missing], probe, LIMITS).reason is None
    assert decide([missing], probe, LIMITS, n_selected=0).reason is StopReason.COVERAGE_EXHAUSTED
    assert decide([missing], idle, replace(LIMITS, max_labels=60)).reason is not None, 'a probe is paid like all labels'


def test_nothing_selected_among_the_candidates() -> None:
    found = decide(series(0.5), replace(PASSED, is_probe=True), LIMITS, n_selected=0)
    assert found.reason is StopReason.COVERAGE_EXHAUSTED
    assert found.sentence.startswith('none of the candidates passed the selection')
    assert decide(series(0.5), PASSED, LIMITS, n_selected=3).reason is None


@pytest.mark.parametrize(('labels', 'ends'), [(999, False), (1000, True), (1001, True)])
def test_labels_are_a_budget(labels: int, ends: bool) -> None:
    found = decide(series(0.5, labels_total=labels), PASSED, LIMITS)
    assert (found.reason is StopReason.BUDGET_EXHAUSTED) == ends
    if ends:
        assert found.sentence.startswith(f'The budget loop.max_labels is spent ({labels} of 1000 labels)')


def test_rounds_are_a_budget_and_the_sentence_names_it() -> None:
    falling = [0.9**n for n in range(10)]
    assert decide(series(*falling[:9]), PASSED, LIMITS).reason is None
    found = decide(series(*falling), PASSED, LIMITS)
    assert found.reason is StopReason.BUDGET_EXHAUSTED
    assert found.sentence.startswith('The budget loop.max_rounds is spent (10 fits, 60 of 1000 labels)')


def test_rounds_that_bring_nothing_are_a_stall() -> None:
    assert decide(series(0.5, 0.495), PASSED, LIMITS).reason is None
    found = decide(series(0.5, 0.495, 0.51), PASSED, LIMITS)
    assert found.reason is StopReason.STALLED
    assert found.sentence.startswith('2 rounds in a row did not improve the error on the frozen test set')


def test_many_small_gains_are_one_improvement() -> None:
    assert rounds_without_improvement(series(0.5, 0.495, 0.489)) == 0
    assert rounds_without_improvement(series(0.5, 0.495)) == 1
    assert rounds_without_improvement([]) == 0


def test_errors_on_another_test_set_are_no_worsening() -> None:
    """The second part of the test set comes in round 1: its frames are harder."""
    history = [*series(0.1), *series(0.5, n_test=42)]
    assert rounds_without_improvement(history) == 0


def test_default_targets_follow_the_labels_and_their_precision() -> None:
    limits = replace(LIMITS, force=None, energy=None, acquisition=None)
    fine = targets(limits, replace(GOOD, train_force=0.001, train_energy=1e-5))
    assert (fine.force, fine.energy, fine.acquisition) == pytest.approx((0.05, 0.0025, 0.1))
    coarse = targets(limits, replace(GOOD, train_force=0.04, train_energy=0.003))
    assert (coarse.force, coarse.energy, coarse.acquisition) == pytest.approx((0.08, 0.006, 0.16))
    asked = targets(LIMITS, replace(GOOD, train_force=0.04))
    assert (asked.force, asked.energy, asked.acquisition) == (0.1, 0.005, 0.2)


def test_without_numbers_a_user_gets_a_verdict_too() -> None:
    """Silicon ended `converged` with no target set and a wrong potential: now an error of a fifth of the forces is too much."""
    limits = replace(LIMITS, force=None, energy=None, acquisition=None)
    poor = replace(GOOD, test_force=0.2, test_force_high=0.25)
    assert (
        decide([poor], replace(PASSED, n_candidates=0, gate=None, is_probe=True), limits).reason is StopReason.COVERAGE_EXHAUSTED
    )


def test_the_best_potential_is_the_result_not_the_last() -> None:
    history = series(0.5, 0.2, 0.3)
    assert best_round(history) == 1
    assert best_round([history[0], replace(history[1], passed_checks=False), history[2]]) == 2
    assert best_round([replace(summary, passed_checks=False) for summary in history]) == 2
    assert best_round(series(0.2, 0.2)) == 1


def test_potentials_judged_on_another_test_set_count_only_where_no_other_passed() -> None:
    early, late = series(0.1)[0], series(0.4, n_test=42)[0]
    assert best_round([early, late]) == 1
    assert best_round([early, replace(late, passed_checks=False)]) == 0


@pytest.mark.parametrize('name', ['max_rounds', 'max_labels', 'patience'])
def test_limits_that_would_stop_a_loop_before_it_starts(name: str) -> None:
    with pytest.raises(InputError, match=f'{name} must be at least 1, got 0'):
        replace(LIMITS, **{name: 0})


@pytest.mark.parametrize('name', ['force', 'energy', 'acquisition'])
@pytest.mark.parametrize('value', [0.0, -1.0, math.nan])
def test_targets_that_nothing_could_reach(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f'the target {name} must be above 0'):
        replace(LIMITS, **{name: value})
