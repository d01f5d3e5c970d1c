"""The verdict on the newest potential of a loop: what it lacks to be `converged`, whether the loop goes on, and why it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.units import MILLI

IMPROVEMENT: Final = 0.02
"""A round improves when its error lies more than this share below the best error before it."""

LABEL_SHARE: Final = 0.05
"""Default target of an error: this share of what there is to predict, the root mean square of the labels, ..."""

TRAINING_FACTOR: Final = 2.0
"""... or this many times the training error where that is more: labels of little precision allow no better."""

ACQUISITION_FACTOR: Final = 2.0
"""Default target on labels that were chosen because the potential did not know them, in targets of the frozen test set."""


class StopReason(StrEnum):
    """How a loop ended."""

    CONVERGED = 'converged'
    BUDGET_EXHAUSTED = 'budget_exhausted'
    STALLED = 'stalled'
    COVERAGE_EXHAUSTED = 'coverage_exhausted'


@dataclass(frozen=True)
class RoundSummary:
    """What is known of the potential of one round before it is explored with.

    :param round: number of the round, from 0.
    :param labels_total: labels paid for so far.
    :param n_test: frames of the frozen test set; errors on sets of different size are not compared.
    :param test_force: eV/Å, error on the frozen test set; `test_force_high` the upper end of its interval, the error itself
        where there is none. `test_energy` and `test_energy_high` likewise, eV/atom.
    :param train_force: eV/Å, error on the training set; `train_energy` likewise, eV/atom.
    :param label_force: eV/Å, root mean square of the forces of the frozen test set; `label_energy` likewise, eV/atom, of the
        energies about the mean of their composition.
    :param acquisition_force: eV/Å, error of the potential before on the labels that were bought for this one, before they were
        used for training; None in round 0.
    :param passed_checks: whether it passed its self-checks.
    """

    round: int
    labels_total: int
    n_test: int
    test_force: float
    test_force_high: float
    test_energy: float
    test_energy_high: float
    train_force: float
    train_energy: float
    label_force: float
    label_energy: float
    acquisition_force: float | None = None
    passed_checks: bool = True


class Gate(StrEnum):
    """What the physics gate said; it broke where it could not be judged."""

    PASSED = 'passed'
    FAILED = 'failed'
    BROKEN = 'broken'


@dataclass(frozen=True)
class Exam:
    """What molecular dynamics with the newest potential said of it, and the physics gate.

    :param n_starts: start structures, of which `n_at_top` passed all temperatures up to the highest, `top` (K).
    :param n_candidates: structures that it does not know; of a probe structures whatever their grade.
    :param is_probe: whether the candidates are frames of MD whatever their grade.
    :param share_above_select: share of MD above `gamma_select`; None when nothing was looked at.
    :param gate: what its physical properties say; None where they are not asked for, or not looked at yet.
    :param waits_for_test: whether frames for the test set wait for their labels.
    :param untested: K, temperatures of which the test set has no frames and should.
    """

    n_starts: int
    n_at_top: int
    top: float
    n_candidates: int
    share_above_select: float | None
    gate: Gate | None = None
    waits_for_test: bool = False
    untested: tuple[float, ...] = ()
    is_probe: bool = False


@dataclass(frozen=True)
class Targets:
    """What a converged potential keeps to.

    :param force: eV/Å, upper end of the interval of the error on the frozen test set.
    :param energy: eV/atom, likewise.
    :param acquisition: eV/Å, error of the potential before on the newest labels.
    :param share_above: share of MD above `gamma_select`, dimensionless.
    """

    force: float
    energy: float
    acquisition: float
    share_above: float


@dataclass(frozen=True)
class StopLimits:
    """When to stop.

    :param max_rounds: fits to make, at least 1.
    :param max_labels: labels to pay for, at least 1.
    :param patience: rounds in a row without improvement that make a loop stalled, at least 1.
    :param share_above: largest share of MD above `gamma_select` of a converged potential, dimensionless.
    :param force: eV/Å, target on the frozen test set; None for the default of :func:`targets`. `energy` likewise, eV/atom;
        `acquisition` likewise, eV/Å, on the newest labels.
    :raises InputError: a limit is out of range.
    """

    max_rounds: int
    max_labels: int
    patience: int
    share_above: float
    force: float | None = None
    energy: float | None = None
    acquisition: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that would stop a loop before it starts."""
        for name in ('max_rounds', 'max_labels', 'patience'):
            if getattr(self, name) < 1:
                raise InputError(f'{name} must be at least 1, got {getattr(self, name)}')
        for name in ('force', 'energy', 'acquisition'):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise InputError(f'the target {name} must be above 0, got {value}')


@dataclass(frozen=True)
class Decision:
    """Whether a loop ends, and what is said of its newest potential.

    :param reason: why it ends; None when it goes on.
    :param shortfalls: a sentence for each condition of `converged` that is not met.
    :param sentence: why it ends, and what to do next; empty when it goes on.
    :param targets: that the potential was held against.
    """

    reason: StopReason | None
    shortfalls: tuple[str, ...]
    sentence: str
    targets: Targets


def targets(limits: StopLimits, newest: RoundSummary) -> Targets:
    """Return what the newest potential is held against: what was asked for, else what its labels allow.

    The default is 5 % of the root mean square of what is predicted, or twice the training error where that is more.
    """
    force = limits.force or max(LABEL_SHARE * newest.label_force, TRAINING_FACTOR * newest.train_force)
    energy = limits.energy or max(LABEL_SHARE * newest.label_energy, TRAINING_FACTOR * newest.train_energy)
    return Targets(force, energy, limits.acquisition or ACQUISITION_FACTOR * force, limits.share_above)


def decide(history: Sequence[RoundSummary], exam: Exam, limits: StopLimits, *, n_selected: int | None = None) -> Decision:
    """Return what becomes of a loop after its newest potential was explored with.

    The first rule that holds decides; what the potential achieved comes before what was spent on it:

    1. nothing is missing: `converged`;
    2. exploration found nothing to label, for the test set neither, or nothing of it was selected: `coverage_exhausted`, unless
       an error is above its target and no probe was tried: the next exploration is one, labels of MD that the potential takes
       for known must then show how good it is, and make it better;
    3. `max_labels` or `max_rounds` is reached: `budget_exhausted`;
    4. `patience` rounds in a row did not improve the error on the frozen test set: `stalled`.

    :param history: rounds with a fit, oldest first, at least one.
    :param exam: of the newest potential.
    :param n_selected: candidates selected for labelling; None before a selection.
    """
    newest = history[-1]
    held = targets(limits, newest)
    missing = tuple(_shortfalls(newest, exam, held))
    if not missing:
        return Decision(StopReason.CONVERGED, (), _converged(newest, exam, held), held)
    reason, sentence = _end(history, exam, limits, held, n_selected)
    return Decision(reason, missing, f'{sentence} Not converged: {"; ".join(missing)}.' if sentence else '', held)


def best_round(history: Sequence[RoundSummary]) -> int:
    """Return the place in the history of the potential that is the result of a run that did not converge.

    The one of least force error on the frozen test set among those that passed their checks; one that was judged on another
    test set than the newest counts only where no other passed. The newest where none passed.

    :param history: rounds with a fit, oldest first, at least one.
    """
    passed = [place for place, summary in enumerate(history) if summary.passed_checks]
    comparable = [place for place in passed if history[place].n_test == history[-1].n_test]
    if not comparable:
        return passed[-1] if passed else len(history) - 1
    return min(comparable, key=lambda place: (history[place].test_force, -place))


def rounds_without_improvement(history: Sequence[RoundSummary]) -> int:
    """Return how many of the newest rounds in a row did not improve the force error on the same frozen test set.

    The error to beat is that of the last round that improved, so that many small gains add up to one improvement.

    :param history: rounds with a fit, oldest first.
    """
    best, waited, n_test = math.inf, 0, -1
    for summary in history:
        if summary.n_test != n_test:
            best, waited, n_test = math.inf, 0, summary.n_test
        if summary.test_force < (1.0 - IMPROVEMENT) * best:
            best, waited = summary.test_force, 0
        else:
            waited += 1
    return waited


def _shortfalls(newest: RoundSummary, exam: Exam, held: Targets) -> list[str]:
    """Return a sentence for each condition that is not met; a number that is missing or not finite meets none."""
    share = exam.share_above_select
    conditions = [
        (newest.passed_checks, 'it did not pass its self-checks'),
        (
            exam.n_starts > 0 and exam.n_at_top == exam.n_starts,
            f'{exam.n_at_top} of {exam.n_starts} starts passed all temperatures up to {exam.top:g} K',
        ),
        (
            share is not None and share <= held.share_above,
            'no step of MD was looked at'
            if share is None
            else f'{share:.1%} of MD is above gamma_select, at most {held.share_above:.1%} is allowed',
        ),
        *_errors(newest, held),
        (exam.gate is not Gate.FAILED, 'its physical properties did not pass'),
        (exam.gate is not Gate.BROKEN, 'its physical properties could not be judged (verdi process report says why)'),
        (not exam.waits_for_test, 'frames of MD for the test set are not labelled yet'),
        (
            exam.waits_for_test or not exam.untested,
            f'the test set has no frames of MD at {", ".join(f"{temperature:g}" for temperature in exam.untested)} K',
        ),
    ]
    return [sentence for is_met, sentence in conditions if not is_met]


def _errors(newest: RoundSummary, held: Targets) -> list[tuple[bool, str]]:
    """Return for each error, which more labels may mend, whether it meets its target, and what is said where it does not."""
    acquisition = newest.acquisition_force
    return [
        (
            newest.test_force_high <= held.force,
            f'the force error on the frozen test set may be {_milli(newest.test_force_high, held.force)} meV/Å',
        ),
        (
            newest.test_energy_high <= held.energy,
            f'the energy error on the frozen test set may be {_milli(newest.test_energy_high, held.energy)} meV/atom',
        ),
        (
            acquisition is None or acquisition <= held.acquisition,
            f'the force error on the newest labels before training was {_milli(acquisition or 0.0, held.acquisition)} meV/Å',
        ),
    ]


def _milli(value: float, target: float) -> str:
    return f'{MILLI * value:.3g}, above its target of {MILLI * target:.3g}'


def _converged(newest: RoundSummary, exam: Exam, held: Targets) -> str:
    share = 0.0 if exam.share_above_select is None else exam.share_above_select
    gate = '; its physical properties passed' if exam.gate is Gate.PASSED else ''
    return (
        f'All {exam.n_starts} starts passed {exam.top:g} K with {share:.1%} of MD above gamma_select; on the frozen test set the '
        f'errors are at most {MILLI * newest.test_force_high:.3g} meV/Å and {MILLI * newest.test_energy_high:.3g} meV/atom '
        f'(targets {MILLI * held.force:.3g} and {MILLI * held.energy:.3g}){gate}.'
    )


def _end(
    history: Sequence[RoundSummary], exam: Exam, limits: StopLimits, held: Targets, n_selected: int | None
) -> tuple[StopReason | None, str]:
    newest = history[-1]
    is_idle = not exam.waits_for_test and (exam.n_candidates == 0 or n_selected == 0)
    if is_idle and (exam.is_probe or all(is_met for is_met, _ in _errors(newest, held))):
        found = 'MD found nothing new' if exam.n_candidates == 0 else 'none of the candidates passed the selection'
        return StopReason.COVERAGE_EXHAUSTED, f'{found}: add starts, temperatures or kinds of structures, or more first labels.'
    if newest.labels_total >= limits.max_labels:
        told = f'The budget loop.max_labels is spent ({newest.labels_total} of {limits.max_labels} labels)'
        return StopReason.BUDGET_EXHAUSTED, f'{told}: raise it to go on.'
    if len(history) >= limits.max_rounds:
        told = f'The budget loop.max_rounds is spent ({len(history)} fits, {newest.labels_total} of {limits.max_labels} labels)'
        return StopReason.BUDGET_EXHAUSTED, f'{told}: raise it to go on.'
    if (waited := rounds_without_improvement(history)) >= limits.patience:
        told = f'{waited} rounds in a row did not improve the error on the frozen test set'
        return StopReason.STALLED, f'{told}: try a larger basis or cutoff, or more precise labels.'
    return None, ''
