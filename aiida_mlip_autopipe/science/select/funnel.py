"""The funnel from many frames to the few worth a label: sanity, duplicates, features, picks, with the reason for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from ase.formula import Formula

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, FloatArray, Frames, IntArray
from aiida_mlip_autopipe.science.select.duplicates import duplicate_of, repeated_uids
from aiida_mlip_autopipe.science.select.fps import farthest_points
from aiida_mlip_autopipe.science.select.sanity import SanityLimits, sanity_reasons

DUPLICATE = 'duplicate'
ALREADY_LABELLED = 'already_labelled'
NOT_SELECTED = 'not_selected'

STAGES = ('generated', 'sane', 'unique', 'selected')
"""What is counted, from wide to narrow."""

Featurize = Callable[[Frames], FloatArray]
"""Returns one row of features for each frame, shape (n_frames, d)."""


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
    """

    budget: int
    sanity: SanityLimits
    duplicate_tolerance: float

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
        'duplicate' (of another frame), 'already_labelled' (a known frame or nearly one) or 'not_selected'.
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
    featurize: Featurize,
    limits: FunnelLimits,
    pick: Selector = farthest_points,
    rng: np.random.Generator | None = None,
) -> Selection:
    """Return which frames to label.

    In turn: insane frames go, then exact repeats of each other or of `known`, then near duplicates, and among what is left
    the selector picks. Features are computed for frames that passed the cheap filters only, and each column is brought to
    mean 0 and standard deviation 1 over the pool and `known` together.

    :param frames: the pool.
    :param known: frames that have been labelled already, or None; isolated atoms among them do not count.
    :param featurize: features of frames.
    :param limits: budget and bounds.
    :param pick: selector.
    :param rng: handed to the selector.
    :raises InputError: features do not fit the frames or are not finite.
    """
    labelled = _comparable(known)
    reasons = sanity_reasons(frames, **asdict(limits.sanity))
    reasons = _replaced(reasons, *_exact_repeats(reasons, frames, labelled))
    pool = _open(reasons)
    if not len(pool):
        return _selection(frames, pool, reasons)
    survivors = frames.take(pool)
    features, known_features = _standardised(survivors, labelled, featurize)
    near = _near_duplicates(survivors, labelled, features, known_features, limits.duplicate_tolerance)
    reasons = _replaced(reasons, pool, near)
    kept = _open(reasons)
    rows = np.searchsorted(pool, kept)
    chosen = kept[pick(features[rows], limits.budget, known=known_features, rng=rng)] if len(kept) else kept
    rest = np.setdiff1d(kept, chosen)
    return _selection(frames, chosen, _replaced(reasons, rest, [NOT_SELECTED] * len(rest)))


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


def _standardised(frames: Frames, known: Frames | None, featurize: Featurize) -> tuple[FloatArray, FloatArray | None]:
    parts = [frames] if known is None else [frames, known]
    features = [np.asarray(featurize(part), dtype=np.float64) for part in parts]
    for part, rows in zip(parts, features, strict=True):
        if rows.ndim != 2 or len(rows) != len(part) or rows.shape[1] != features[0].shape[1]:
            raise InputError(f'features of {len(part)} frames have the shape {rows.shape}, expected one row for each frame')
    together = np.concatenate(features)
    if not np.isfinite(together).all():
        raise InputError(f'features of frame {int(np.argwhere(~np.isfinite(together))[0][0])} are not finite')
    scaled = standardise(together)
    return scaled[: len(frames)], None if known is None else scaled[len(frames) :]


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
    n_known = 0 if known is None else len(known)
    groups = ([] if known is None else _formulas(known)) + _formulas(frames)
    stacked = features if known_features is None else np.concatenate([known_features, features])
    originals = duplicate_of(stacked, groups, tolerance)[n_known:]
    return ['' if o < 0 else ALREADY_LABELLED if o < n_known else DUPLICATE for o in originals.tolist()]


def _formulas(frames: Frames) -> list[str]:
    return [Formula.from_list(sorted(frames.symbols(index))).format('hill') for index in range(len(frames))]


def _selection(frames: Frames, chosen: IntArray, reasons: list[str]) -> Selection:
    by_type: dict[str, Counter[str]] = {}
    total: Counter[str] = Counter()
    not_unique = {DUPLICATE, ALREADY_LABELLED}
    for config_type, reason in zip(frames.config_type.tolist(), reasons, strict=True):
        is_sane = reason in not_unique or reason in ('', NOT_SELECTED)
        reached = {
            'generated': True,
            'sane': is_sane,
            'unique': is_sane and reason not in not_unique,
            'selected': not reason,
        }
        by_type.setdefault(config_type, Counter()).update(reached)
        total.update(reached)
    return Selection(
        indices=chosen,
        reasons=reasons,
        counts={stage: int(total[stage]) for stage in STAGES},
        by_config_type={name: {stage: int(count[stage]) for stage in STAGES} for name, count in sorted(by_type.items())},
    )
