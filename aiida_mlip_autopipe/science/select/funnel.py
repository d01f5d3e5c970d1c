"""The funnel from many frames to the few worth a label: sanity, duplicates, features, picks, with the reason for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final, Protocol

import numpy as np
from ase.formula import Formula

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, BoolArray, FloatArray, Frames, IntArray
from aiida_mlip_autopipe.science.select.duplicates import duplicate_of, repeated_uids
from aiida_mlip_autopipe.science.select.fps import farthest_points
from aiida_mlip_autopipe.science.select.quotas import Quotas, allocate
from aiida_mlip_autopipe.science.select.sanity import SANITY_REASONS, SanityLimits, sanity_reasons
from aiida_mlip_autopipe.science.select.window import NOT_FINITE, WINDOW_REASONS, Window, window_reasons

DUPLICATE = 'duplicate'
ALREADY_LABELLED = 'already_labelled'
NOT_SELECTED = 'not_selected'

STAGES = ('generated', 'sane', 'unique', 'inside', 'selected')
"""What is counted, from wide to narrow; `inside` the window of energy, force and volume."""

REASONS: Final[dict[str, tuple[str, ...]]] = {
    'sane': SANITY_REASONS,
    'unique': (DUPLICATE, ALREADY_LABELLED),
    'inside': WINDOW_REASONS,
    'selected': (NOT_SELECTED,),
}
"""Why a frame does not reach a stage though it reached the one before."""

LEFT_AT: Final = {reason: STAGES.index(stage) for stage, reasons in REASONS.items() for reason in reasons}


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


class Selector(Protocol):
    """Picks points by their features; chosen by entry point."""

    def __call__(
        self, features: FloatArray, count: int, *, known: FloatArray | None, rng: np.random.Generator | None
    ) -> IntArray:
        """Return the indices of at most `count` of the `features`, shape (n, d), beside the `known`, shape (m, d)."""


@dataclass(frozen=True)
class FunnelLimits:
    """How much passes the funnel.

    :param budget: largest number of frames to select, at least 0.
    :param sanity: bounds on the geometry.
    :param duplicate_tolerance: Euclidean distance of standardised features up to which frames of equal formula are
        duplicates, at least 0.
    :param window: of predicted energies and forces, and of volumes.
    :param quotas: shares of the budget.
    """

    budget: int
    sanity: SanityLimits
    duplicate_tolerance: float
    window: Window = field(default_factory=Window)
    quotas: Quotas = field(default_factory=lambda: Quotas({}, {}))

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
    :param counts: number of frames after each of `STAGES`.
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
    pick: Selector = farthest_points,
    rng: np.random.Generator | None = None,
) -> Selection:
    """Return which frames to label.

    In turn: insane frames go, then exact repeats of each other or of `known`, then near duplicates, then what lies outside of
    the window, and among what is left the selector picks. Only frames that passed the cheap filters are screened, and each
    column of the features is brought to mean 0 and standard deviation 1 over the pool and `known` together.

    :param frames: the pool.
    :param known: frames that have been labelled already, or None; isolated atoms among them do not count.
    :param screen: features of frames, and what a surrogate predicts.
    :param limits: budget and bounds.
    :param pick: selector.
    :param rng: handed to the selector.
    :raises InputError: features do not fit the frames.
    """
    labelled = _comparable(known)
    reasons = sanity_reasons(frames, **asdict(limits.sanity))
    reasons = _replaced(reasons, *_exact_repeats(reasons, frames, labelled))
    pool = _open(reasons)
    if not len(pool):
        return _selection(frames, pool, reasons)
    survivors = frames.take(pool)
    found, finite = _screened(survivors, screen)
    reasons = _replaced(reasons, pool[~finite], [NOT_FINITE] * int((~finite).sum()))
    pool, survivors = pool[finite], survivors.take(np.flatnonzero(finite))
    if not len(pool):
        return _selection(frames, pool, reasons)
    labelled, other = (None, None) if labelled is None else _screened_known(labelled, screen, found)
    features, known_features = _standardised(found.features[finite], other)
    near = _near_duplicates(survivors, labelled, features, known_features, limits.duplicate_tolerance)
    energies, forces = (None if part is None else part[finite] for part in (found.energies, found.forces))
    outside = window_reasons(survivors, limits.window, energies, forces)
    reasons = _replaced(reasons, pool, [one or two for one, two in zip(near, outside, strict=True)])
    kept = _open(reasons)
    rows = np.searchsorted(pool, kept)
    chosen = kept[_picked(survivors.take(rows), features[rows], known_features, limits, pick, rng)] if len(kept) else kept
    rest = np.setdiff1d(kept, chosen)
    return _selection(frames, chosen, _replaced(reasons, rest, [NOT_SELECTED] * len(rest)))


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


def _picked(
    frames: Frames,
    features: FloatArray,
    known: FloatArray | None,
    limits: FunnelLimits,
    pick: Selector,
    rng: np.random.Generator | None,
) -> IntArray:
    """Return the picks among frames that passed all filters; with quotas, cell by cell beside what was picked before."""
    if not limits.quotas:
        return pick(features, limits.budget, known=known, rng=rng)
    cells = list(zip(frames.config_type.tolist(), reduced_formulas(frames), strict=True))
    chosen = np.zeros(0, dtype=np.int64)
    for cell, count in allocate(cells, limits.quotas, limits.budget).items():
        members = np.flatnonzero([own == cell for own in cells])
        taken = features[chosen] if known is None else np.concatenate([known, features[chosen]])
        chosen = np.append(chosen, members[pick(features[members], count, known=taken if len(taken) else None, rng=rng)])
    return chosen


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
    by_type: dict[str, dict[str, int]] = {name: dict.fromkeys(STAGES, 0) for name in sorted(set(frames.config_type.tolist()))}
    for config_type, reason in zip(frames.config_type.tolist(), reasons, strict=True):
        for stage in STAGES[: LEFT_AT.get(reason, len(STAGES))]:
            by_type[config_type][stage] += 1
    totals = {stage: sum(count[stage] for count in by_type.values()) for stage in STAGES}
    return Selection(indices=chosen, reasons=reasons, counts=totals, by_config_type=by_type)
