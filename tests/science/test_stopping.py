"""The decision to stop: each reason, their precedence, and what counts as an improvement."""

from __future__ import annotations

import math

import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.stopping import RoundSummary, StopLimits, StopReason, decide, rounds_without_improvement

LIMITS = StopLimits(max_rounds=10, max_labels=1000, force_rmse_target=0.1, patience=2)


def summary(number=0, *, labels=10, candidates=5, selected=3, rmse=0.5):
    return RoundSummary(number, labels, candidates, selected, rmse)


def series(*errors, **options):
    return [summary(number, rmse=error, **options) for number, error in enumerate(errors)]


def test_values_are_texts():
    assert {reason.value for reason in StopReason} == {'converged', 'budget_exhausted', 'stalled', 'coverage_exhausted'}
    assert StopReason('stalled') is StopReason.STALLED
    assert f'{StopReason.CONVERGED}' == 'converged'


def test_no_round_yet():
    assert decide([], LIMITS) is None


def test_goes_on():
    assert decide(series(0.5), LIMITS) is None
    assert decide(series(0.5, 0.4, 0.3), LIMITS) is None


@pytest.mark.parametrize(('rmse', 'expected'), [(0.1, 'converged'), (0.05, 'converged'), (0.11, 'coverage_exhausted')])
def test_no_candidates(rmse, expected):
    assert decide([summary(candidates=0, selected=0, rmse=rmse)], LIMITS) == expected
    assert decide([summary(candidates=0, selected=None, rmse=rmse)], LIMITS) == expected


def test_no_candidates_and_no_target():
    limits = StopLimits(10, 1000, None, 2)
    assert decide([summary(candidates=0, selected=None, rmse=9.0)], limits) is StopReason.CONVERGED


def test_error_that_is_not_a_number_never_converges():
    assert decide([summary(candidates=0, rmse=math.nan)], LIMITS) is StopReason.COVERAGE_EXHAUSTED


def test_target_alone_does_not_converge():
    assert decide([summary(candidates=5, selected=2, rmse=0.01)], LIMITS) is None


def test_candidates_but_none_selected():
    assert decide([summary(candidates=5, selected=0)], LIMITS) is StopReason.COVERAGE_EXHAUSTED


def test_candidates_not_yet_selected_from():
    assert decide([summary(candidates=5, selected=None)], LIMITS) is None


def test_not_explored():
    assert decide([summary(candidates=None, selected=None, rmse=0.01)], LIMITS) is None
    assert decide([summary(candidates=None, selected=0, rmse=0.01)], LIMITS) is None


@pytest.mark.parametrize(('labels', 'expected'), [(999, None), (1000, 'budget_exhausted'), (1001, 'budget_exhausted')])
def test_labels(labels, expected):
    assert decide([summary(labels=labels)], LIMITS) == expected


def test_rounds():
    falling = [0.9**n for n in range(10)]
    assert decide(series(*falling[:9]), LIMITS) is None
    assert decide(series(*falling), LIMITS) is StopReason.BUDGET_EXHAUSTED


@pytest.mark.parametrize(
    ('errors', 'waited'),
    [
        ((), 0),
        ((0.5,), 0),
        ((0.5, 0.6), 1),
        ((0.5, 0.491), 1),
        ((0.5, 0.489), 0),
        ((0.5, 0.495, 0.489), 0),
        ((0.5, 0.6, 0.4), 0),
        ((0.5, 0.4, 0.45, 0.41), 2),
        ((0.5, math.nan, 0.5), 2),
        ((math.nan,), 1),
    ],
)
def test_rounds_without_improvement(errors, waited):
    assert rounds_without_improvement(series(*errors)) == waited


def test_stalled_after_patience():
    assert decide(series(0.5, 0.5), LIMITS) is None
    assert decide(series(0.5, 0.5, 0.495), LIMITS) is StopReason.STALLED
    assert decide(series(0.5, 0.5, 0.4), LIMITS) is None
    assert decide(series(0.5, 0.5), StopLimits(10, 1000, 0.1, 1)) is StopReason.STALLED


def test_precedence():
    stalled = series(0.05, 0.05)
    everything = {'labels': 5000, 'rmse': 0.05}
    assert decide([*stalled, summary(2, candidates=0, selected=0, **everything)], LIMITS) is StopReason.CONVERGED
    assert decide([*stalled, summary(2, candidates=3, selected=0, **everything)], LIMITS) is StopReason.COVERAGE_EXHAUSTED
    assert decide([*stalled, summary(2, **everything)], LIMITS) is StopReason.BUDGET_EXHAUSTED
    assert decide([*stalled, summary(2, rmse=0.05)], LIMITS) is StopReason.STALLED


def test_scale_of_the_errors_does_not_matter_for_stalling():
    errors = (0.5, 0.49, 0.485, 0.47)
    for scale in (1e-3, 1.0, 1e3):
        assert rounds_without_improvement(series(*(scale * error for error in errors))) == 0


def test_decision_is_pure():
    history = series(0.5, 0.5, 0.5)
    before = list(history)
    assert decide(history, LIMITS) is decide(history, LIMITS)
    assert history == before


@pytest.mark.parametrize(
    ('wrong', 'text'),
    [
        ({'max_rounds': 0}, 'max_rounds must be at least 1, got 0'),
        ({'max_labels': 0}, 'max_labels must be at least 1'),
        ({'patience': 0}, 'patience must be at least 1'),
        ({'force_rmse_target': 0.0}, 'above 0 eV/Å, got 0.0'),
    ],
)
def test_limits_out_of_range(wrong, text):
    with pytest.raises(InputError, match=text):
        StopLimits(**{'max_rounds': 10, 'max_labels': 1000, 'force_rmse_target': 0.1, 'patience': 2, **wrong})
