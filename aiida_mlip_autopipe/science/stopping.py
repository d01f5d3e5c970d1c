"""The decision whether an active-learning loop goes on, and if not, why it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiida_mlip_autopipe.common.errors import InputError

IMPROVEMENT = 0.02
"""A round improves when its error lies more than this share below the best error before it."""


class StopReason(StrEnum):
    """How a loop ended."""

    CONVERGED = 'converged'
    BUDGET_EXHAUSTED = 'budget_exhausted'
    STALLED = 'stalled'
    COVERAGE_EXHAUSTED = 'coverage_exhausted'


@dataclass(frozen=True)
class RoundSummary:
    """What one finished round brought.

    :param round: number of the round, from 0.
    :param labels_total: labels paid for so far.
    :param n_candidates: structures on which the new potential extrapolates, found by exploring with it; None when it was
        not explored with.
    :param n_selected: candidates selected for labelling; None when there was no selection.
    :param test_force_rmse: eV/Å, error on the frozen test set.
    :param acquisition_force_rmse: eV/Å, error of the old potential on the new labels before they were used for training;
        None in the first round. It is reported and decides nothing.
    """

    round: int
    labels_total: int
    n_candidates: int | None
    n_selected: int | None
    test_force_rmse: float
    acquisition_force_rmse: float | None = None


@dataclass(frozen=True)
class StopLimits:
    """When to stop.

    :param max_rounds: rounds to do, at least 1.
    :param max_labels: labels to pay for, at least 1.
    :param force_rmse_target: eV/Å, error on the test set to reach; None for no target.
    :param patience: rounds in a row without improvement that make a loop stalled, at least 1.
    :raises InputError: a limit is out of range.
    """

    max_rounds: int
    max_labels: int
    force_rmse_target: float | None
    patience: int

    def __post_init__(self) -> None:
        """Refuse limits that would stop a loop before it starts."""
        for name in ('max_rounds', 'max_labels', 'patience'):
            if getattr(self, name) < 1:
                raise InputError(f'{name} must be at least 1, got {getattr(self, name)}')
        if self.force_rmse_target is not None and not self.force_rmse_target > 0.0:
            raise InputError(f'force_rmse_target must be above 0 eV/Å, got {self.force_rmse_target}')


def decide(history: Sequence[RoundSummary], limits: StopLimits) -> StopReason | None:
    """Return why the loop ends after the newest round, or None when it goes on.

    The first rule that holds decides; what the newest potential achieved comes before what was spent on it:

    1. exploration found no candidate: `converged` when the test error reaches the target or there is none, else
       `coverage_exhausted`, because nothing is left to learn from here;
    2. there were candidates and none was selected: `coverage_exhausted`;
    3. `max_labels` or `max_rounds` is reached: `budget_exhausted`;
    4. `patience` rounds in a row did not improve the test error by more than 2 % of the best before: `stalled`.

    :param history: finished rounds, oldest first.
    :param limits: when to stop.
    """
    if not history:
        return None
    newest = history[-1]
    if newest.n_candidates == 0:
        return StopReason.CONVERGED if _reaches_target(newest, limits) else StopReason.COVERAGE_EXHAUSTED
    if newest.n_candidates is not None and newest.n_selected == 0:
        return StopReason.COVERAGE_EXHAUSTED
    if newest.labels_total >= limits.max_labels or len(history) >= limits.max_rounds:
        return StopReason.BUDGET_EXHAUSTED
    return StopReason.STALLED if rounds_without_improvement(history) >= limits.patience else None


def rounds_without_improvement(history: Sequence[RoundSummary]) -> int:
    """Return how many of the newest rounds in a row did not improve the test error.

    The error to beat is that of the last round that improved, so that many small gains add up to one improvement.

    :param history: finished rounds, oldest first.
    """
    best, waited = math.inf, 0
    for summary in history:
        if summary.test_force_rmse < (1.0 - IMPROVEMENT) * best:
            best, waited = summary.test_force_rmse, 0
        else:
            waited += 1
    return waited


def _reaches_target(newest: RoundSummary, limits: StopLimits) -> bool:
    return limits.force_rmse_target is None or newest.test_force_rmse <= limits.force_rmse_target
