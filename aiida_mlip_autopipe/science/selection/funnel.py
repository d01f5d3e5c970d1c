"""The funnel from many frames to the few worth a label: sanity, duplicates, features, picks, with the reason for each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from ase.formula import Formula

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, BoolArray, FloatArray, Frames, IntArray
from aiida_mlip_autopipe.science.md.findings import FAILURE
from aiida_mlip_autopipe.science.selection.d_optimal import AtomPick, AtomRows
from aiida_mlip_autopipe.science.selection.duplicates import duplicate_of, repeated_uids
from aiida_mlip_autopipe.science.selection.fps import farthest_points
from aiida_mlip_autopipe.science.selection.quotas import Quotas, allocate
from aiida_mlip_autopipe.science.selection.sanity import SANITY_REASONS, SanityLimits, sanity_reasons
from aiida_mlip_autopipe.science.selection.window import NOT_FINITE, WINDOW_REASONS, Window, window_reasons

DUPLICATE = 'duplicate'
ALREADY_LABELLED = 'already_labelled'
NOT_SELECTED = 'not_selected'

FUNNEL = ('generated', 'sane', 'unique', 'inside', 'selected')
"""What is counted, from wide to narrow; `inside` the window of energy, force and volume."""

REASONS: Final[dict[str, tuple[str, ...]]] = {
    'sane': SANITY_REASONS,
    'unique': (DUPLICATE, ALREADY_LABELLED),
    'inside': WINDOW_REASONS,
    'selected': (NOT_SELECTED,),
}
"""Why a frame does not reach a stage though it reached the one before."""

LEFT_AT: Final = {reason: FUNNEL.index(stage) for stage, reasons in REASONS.items() for reason in reasons}


@dataclass(frozen=True, eq=False)
class Screened:
    """What is known of frames before any label.

    :param features: shape (n_frames, d).
    :param energies: eV, predicted, shape (n_frames,), or None without a surrogate.
    :param forces: eV/Å, predicted largest force on an atom, shape (n_frames,), or None.
    """

    features: FloatArray
    energies: FloatArray | None = None
    forces: FloatArray | None = None


Screen = Callable[[Frames], Screened]
"""Returns what a surrogate or a descriptor says of frames."""

_Choose = Callable[[IntArray, int, IntArray], IntArray]
"""From the frames to choose from, how many, and those that are taken already, to those chosen; all by their index."""


class Selector(Protocol):
    """Picks points by their features; chosen by entry point."""

    def __call__(
        self, features: FloatArray, count: int, *, known: FloatArray | None, rng: np.random.Generator | None
    ) -> IntArray:
        """Return the indices of at most `count` of the `features`, shape (n, d), beside the `known`, shape (m, d)."""


@dataclass(frozen=True)
class AtomSelector:
    """Picks frames by the descriptors of their atoms.

    :param pick: such as :func:`~science.selection.d_optimal.d_optimal_frames`.
    :param describe: descriptors of the atoms of frames.
    :param training: frames that the potential was fitted to, beside which candidates are picked; None: none.
    """

    pick: AtomPick
    describe: Callable[[Frames], AtomRows]
    training: Frames | None = None


@dataclass(frozen=True)
class FunnelLimits:
    """How much passes the funnel.

    :param budget: largest number of frames to select, at least 0.
    :param sanity: bounds on the geometry.
    :param duplicate_tolerance: Euclidean distance of standardised features up to which frames of equal formula are
        duplicates, at least 0.
    :param window: of predicted energies and forces, and of volumes.
    :param quotas: shares of the budget.
    :param first: config_types whose frames are all selected, before anything else; no window and no near duplicate keeps them
        out.
    """

    budget: int
    sanity: SanityLimits
    duplicate_tolerance: float
    window: Window = field(default_factory=Window)
    quotas: Quotas = field(default_factory=lambda: Quotas({}, {}))
    first: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse negative limits."""
        if self.budget < 0:
            raise InputError(f'the budget of a selection must be at least 0, got {self.budget}')
        if not self.duplicate_tolerance >= 0.0:
            raise InputError(f'the tolerance of duplicates must be at least 0, got {self.duplicate_tolerance}')


@dataclass(frozen=True, eq=False)
class Selection:
    """What a funnel let through, and why not the rest.

    :param indices: frames selected, in the order in which they were picked.
    :param reasons: for each frame '' when it is selected, else the reason against it: one of `sanity.SANITY_REASONS`,
        'duplicate' (of another frame), 'already_labelled' (a known frame or nearly one), one of `window.WINDOW_REASONS` or
        'not_selected'.
    :param counts: number of frames after each of `FUNNEL`.
    :param by_config_type: the same for each config_type.
    """

    indices: IntArray
    reasons: list[str]
    counts: dict[str, int]
    by_config_type: dict[str, dict[str, int]]


def select(
    frames: Frames,
    *,
    known: Frames | None,
    screen: Screen,
    limits: FunnelLimits,
    pick: Selector | AtomSelector = farthest_points,
    rng: np.random.Generator | None = None,
) -> Selection:
    """Return which frames to label.

    In turn: insane frames go, then exact repeats of each other or of `known`, then near duplicates, then what lies outside of
    the window. Of what is left the frames that come first are taken, then the last ones before failures of MD, and among the
    others the selector picks. Only frames that passed the cheap filters are screened, and each column of the features is brought
    to mean 0 and standard deviation 1 over the pool and `known` together.

    :param frames: the pool.
    :param known: frames that have been labelled already, or None; isolated atoms among them do not count.
    :param screen: features of frames, and what a surrogate predicts.
    :param limits: budget and bounds.
    :param pick: selector.
    :param rng: handed to the selector.
    :raises InputError: features do not fit the frames, or more frames come first than the budget holds.
    """
    passed = _passed(frames, _comparable(known), screen, limits)
    if not len(passed.kept):
        return _selection(frames, passed.kept, passed.reasons)
    candidates = frames.take(passed.kept)
    if isinstance(pick, AtomSelector):
        choose = _by_atoms(candidates, pick)
    else:
        choose = _by_features(passed.features, passed.known_features, pick, rng)
    chosen = passed.kept[_picked(candidates, limits, choose)]
    rest = np.setdiff1d(passed.kept, chosen)
    return _selection(frames, chosen, _replaced(passed.reasons, rest, [NOT_SELECTED] * len(rest)))


@dataclass(frozen=True, eq=False)
class _Passed:
    """What passed all filters.

    :param reasons: for each frame of the pool.
    :param kept: frames without a reason, shape (n_kept,).
    :param features: theirs, standardised, shape (n_kept, d).
    :param known_features: those of the labelled frames, or None.
    """

    reasons: list[str]
    kept: IntArray
    features: FloatArray
    known_features: FloatArray | None = None


def _passed(frames: Frames, labelled: Frames | None, screen: Screen, limits: FunnelLimits) -> _Passed:
    """Return what passes the filters; frames that come first pass those of near duplicates and of the window in any case."""
    reasons = sanity_reasons(frames, **asdict(limits.sanity))
    reasons = _replaced(reasons, *_exact_repeats(reasons, frames, labelled))
    pool = _open(reasons)
    if not len(pool):
        return _Passed(reasons, pool, np.zeros((0, 0)))
    found, finite = _screened(frames.take(pool), screen)
    reasons = _replaced(reasons, pool[~finite], [NOT_FINITE] * int((~finite).sum()))
    pool = pool[finite]
    if not len(pool):
        return _Passed(reasons, pool, np.zeros((0, 0)))
    survivors = frames.take(pool)
    labelled, other = (None, None) if labelled is None else _screened_known(labelled, screen, found)
    features, known_features = _standardised(found.features[finite], other)
    near = _near_duplicates(survivors, labelled, features, known_features, limits.duplicate_tolerance)
    energies, forces = (None if part is None else part[finite] for part in (found.energies, found.forces))
    outside = window_reasons(survivors, limits.window, energies, forces)
    is_first = _is_one_of(survivors, limits.first)
    against = ['' if first else one or two for first, one, two in zip(is_first, near, outside, strict=True)]
    reasons = _replaced(reasons, pool, against)
    kept = _open(reasons)
    return _Passed(reasons, kept, features[np.searchsorted(pool, kept)], known_features)


def _screened(frames: Frames, screen: Screen) -> tuple[Screened, BoolArray]:
    """Return what is known of frames, and of which of them all of it is finite."""
    found = screen(frames)
    values = np.asarray(found.features, dtype=np.float64)
    if values.ndim != 2 or len(values) != len(frames):
        raise InputError(f'features of {len(frames)} frames have the shape {values.shape}, expected one row for each frame')
    columns = [values, *(part[:, None] for part in (found.energies, found.forces) if part is not None)]
    finite: BoolArray = np.asarray(np.isfinite(np.concatenate(columns, axis=1)).all(axis=1))
    return Screened(values, found.energies, found.forces), finite


def _screened_known(known: Frames, screen: Screen, pool: Screened) -> tuple[Frames, FloatArray]:
    """Return the known frames with finite features, and these: as many columns as those of the pool."""
    found, finite = _screened(known, screen)
    if found.features.shape[1] != pool.features.shape[1]:
        raise InputError(
            f'features of the known frames have {found.features.shape[1]} columns, those of the pool {pool.features.shape[1]}'
        )
    return known.take(np.flatnonzero(finite)), found.features[finite]


def _picked(frames: Frames, limits: FunnelLimits, choose: _Choose) -> IntArray:
    """Return the picks among frames that passed all filters: those that come first, then others beside them.

    With quotas, cell by cell beside what was picked before; the frames that come first or from before a failure count.
    """
    first = np.flatnonzero(_is_one_of(frames, limits.first))
    if len(first) > limits.budget:
        raise InputError(_too_many(frames.take(first), limits.budget))
    first = np.concatenate([first, _before_failures(frames, limits, choose, first)])
    if not limits.quotas:
        rest = np.setdiff1d(np.arange(len(frames)), first)
        return np.concatenate([first, choose(rest, limits.budget - len(first), first)])
    cells = list(zip(frames.config_type.tolist(), reduced_formulas(frames), strict=True))
    least = Counter(cells[index] for index in first.tolist())
    chosen = first
    for cell, count in allocate(cells, limits.quotas, limits.budget, least).items():
        members = np.setdiff1d(np.flatnonzero([own == cell for own in cells]), first)
        chosen = np.concatenate([chosen, choose(members, count - least[cell], chosen)])
    return chosen


def _before_failures(frames: Frames, limits: FunnelLimits, choose: _Choose, first: IntArray) -> IntArray:
    """Return the last frame of each trajectory of MD that failed, within half of what is left of the budget.

    Where they are more the selector picks among them.
    """
    own = np.setdiff1d(np.flatnonzero(_is_one_of(frames, {FAILURE})), first)
    last = np.array(sorted(dict(zip(trajectories_of(frames.take(own)), own.tolist(), strict=True)).values()), dtype=np.int64)
    room = -(-(limits.budget - len(first)) // 2)
    if len(last) <= room:
        return last
    chosen = choose(last, room, first)
    return np.concatenate([chosen, np.setdiff1d(last, chosen)[: room - len(chosen)]])


def _by_features(features: FloatArray, known: FloatArray | None, pick: Any, rng: np.random.Generator | None) -> _Choose:
    """Return a choice by the features of frames."""

    def choose(members: IntArray, count: int, taken: IntArray) -> IntArray:
        beside = features[taken] if known is None else np.concatenate([known, features[taken]])
        return members[pick(features[members], count, known=beside if len(beside) else None, rng=rng)]

    return choose


def _by_atoms(frames: Frames, pick: AtomSelector) -> _Choose:
    """Return a choice by the descriptors of atoms, beside those of the training set: a test set teaches nothing."""
    rows, names, training = pick.describe(frames), trajectories_of(frames), _comparable(pick.training)
    labelled = None if training is None else pick.describe(training)

    def choose(members: IntArray, count: int, taken: IntArray) -> IntArray:
        parts = [*([] if labelled is None else [labelled]), *([rows.take(taken)] if len(taken) else [])]
        beside = AtomRows.joined(*parts) if parts else None
        own = [names[index] for index in members.tolist()]
        return members[pick.pick(rows.take(members), count, known=beside, trajectories=own)]

    return choose


def trajectories_of(frames: Frames) -> list[str]:
    """Return a name for the run that each frame comes from: its parent and its origin but for the step; others are their own."""
    names = []
    for uid, parent, origin in zip(frames.uid.tolist(), frames.parent.tolist(), frames.origin.tolist(), strict=True):
        told = json.loads(origin) if origin.startswith('{') else {}
        run = [told.get(name) for name in ('temperature', 'pressure', 'seed')]
        names.append(f'{parent} {run}' if 'step' in told else uid)
    return names


def _is_one_of(frames: Frames, config_types: Collection[str]) -> BoolArray:
    return np.isin(frames.config_type, sorted(config_types)) if config_types else np.zeros(len(frames), dtype=bool)


def _too_many(first: Frames, budget: int) -> str:
    """Return why a selection cannot be made."""
    counts = ', '.join(f'{name} {count}' for name, count in sorted(Counter(first.config_type.tolist()).items()))
    return (
        f'{len(first)} frames must be labelled first ({counts}), but the budget of this round is {budget}: raise '
        f'loop.initial_labels to at least {len(first)}, ask for fewer of them in generate, or shorten select.first'
    )


def _comparable(known: Frames | None) -> Frames | None:
    """Return the known frames that a pool can be compared with; single atoms in a box would stretch every feature."""
    if known is None:
        return None
    solids = known.take(np.flatnonzero(known.config_type != ISOLATED_ATOM))
    return solids if len(solids) else None


def _open(reasons: list[str]) -> IntArray:
    return np.array([index for index, reason in enumerate(reasons) if not reason], dtype=np.int64)


def _replaced(reasons: list[str], indices: IntArray, found: list[str]) -> list[str]:
    new = dict(zip(indices.tolist(), found, strict=True))
    return [new.get(index, reason) for index, reason in enumerate(reasons)]


def _exact_repeats(reasons: list[str], frames: Frames, known: Frames | None) -> tuple[IntArray, list[str]]:
    """Return which frames without a reason repeat a known or an earlier one of them, and the reason for each."""
    pool = _open(reasons)
    labelled = set() if known is None else set(known.uid.tolist())
    repeats = pool[repeated_uids(frames.uid[pool].tolist(), labelled)]
    return repeats, [ALREADY_LABELLED if uid in labelled else DUPLICATE for uid in frames.uid[repeats].tolist()]


def _standardised(features: FloatArray, known: FloatArray | None) -> tuple[FloatArray, FloatArray | None]:
    scaled = standardise(features if known is None else np.concatenate([features, known]))
    return scaled[: len(features)], None if known is None else scaled[len(features) :]


def standardise(features: FloatArray) -> FloatArray:
    """Return the features with mean 0 and standard deviation 1 in each column; a constant column becomes 0.

    :param features: shape (n, d).
    """
    centred = features - features.mean(axis=0)
    deviation = centred.std(axis=0)
    varies = deviation > 1e-10 * np.abs(features).max(axis=0, initial=0.0)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=varies)


def _near_duplicates(
    frames: Frames, known: Frames | None, features: FloatArray, known_features: FloatArray | None, tolerance: float
) -> list[str]:
    """Return for each frame 'already_labelled', 'duplicate' or ''."""
    n_known = 0 if known_features is None else len(known_features)
    groups = ([] if known is None else _formulas(known)) + _formulas(frames)
    stacked = features if known_features is None else np.concatenate([known_features, features])
    originals = duplicate_of(stacked, groups, tolerance)[n_known:]
    return ['' if o < 0 else ALREADY_LABELLED if o < n_known else DUPLICATE for o in originals.tolist()]


def _formulas(frames: Frames) -> list[str]:
    return [Formula.from_list(sorted(frames.symbols(index))).format('hill') for index in range(len(frames))]


def reduced_formulas(frames: Frames) -> list[str]:
    """Return the composition of each frame as a formula in lowest terms, such as Al3Mg."""
    return [str(Formula(formula).reduce()[0].format('hill')) for formula in _formulas(frames)]


def _selection(frames: Frames, chosen: IntArray, reasons: list[str]) -> Selection:
    by_type: dict[str, dict[str, int]] = {name: dict.fromkeys(FUNNEL, 0) for name in sorted(set(frames.config_type.tolist()))}
    for config_type, reason in zip(frames.config_type.tolist(), reasons, strict=True):
        for stage in FUNNEL[: LEFT_AT.get(reason, len(FUNNEL))]:
            by_type[config_type][stage] += 1
    totals = {stage: sum(count[stage] for count in by_type.values()) for stage in FUNNEL}
    return Selection(indices=chosen, reasons=reasons, counts=totals, by_config_type=by_type)
