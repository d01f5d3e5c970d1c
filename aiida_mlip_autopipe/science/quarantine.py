"""Frames that got no label: each with its reason, none dropped silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.outliers import energy_outliers


@dataclass(frozen=True)
class Failure:
    """A frame without a usable label."""

    index: int
    uid: str
    reason: str


def label_report(n_frames: int, failures: Sequence[Failure], levels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the report of a labelling, in the form that all labellers share.

    :param n_frames: frames that were to be labelled.
    :param failures: frames that were not.
    :param levels: level of theory by fingerprint.
    """
    return {
        'n_frames': n_frames,
        'n_labelled': n_frames - len(failures),
        'n_failed': len(failures),
        'n_recovered': 0,
        'n_reused': 0,
        'by_reason': dict(Counter(failure.reason for failure in failures)),
        'failures': [asdict(failure) for failure in sorted(failures, key=lambda f: f.index)],
        'remedies': {},
        'levels_of_theory': {name: dict(level) for name, level in levels.items()},
    }


def without_outliers(indices: Sequence[int], labelled: Frames, threshold: float | None) -> tuple[list[int], list[Failure]]:
    """Return the rows of `labelled` that stay, and the energy outliers as failures.

    :param indices: number of each labelled frame among all frames.
    :param threshold: robust z-score, see :func:`energy_outliers`; None lets all stay.
    """
    if threshold is None:
        return list(range(len(labelled))), []
    is_outlier = energy_outliers(labelled, threshold)
    failures = [Failure(indices[row], str(labelled.uid[row]), 'energy_outlier') for row in np.flatnonzero(is_outlier).tolist()]
    return np.flatnonzero(~is_outlier).tolist(), failures
