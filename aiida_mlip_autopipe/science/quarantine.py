"""Frames that got no label: each with its reason, none dropped silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.common.reports import FailureEntry, LabelReport
from aiida_mlip_autopipe.science.outliers import energy_outliers


def label_report(
    frames: Frames, failures: Mapping[int, FrameFailure], levels: Mapping[str, Mapping[str, Any]], n_frames: int | None = None
) -> LabelReport:
    """Return the report of a labelling, in the form that all labellers share.

    :param frames: those that were to be labelled.
    :param failures: those that were not, by index.
    :param levels: level of theory by fingerprint.
    :param n_frames: how many of `frames` were to be labelled; all of them where it is not given.
    """
    n_frames = len(frames) if n_frames is None else n_frames
    return {
        'n_frames': n_frames,
        'n_labelled': n_frames - len(failures),
        'n_failed': len(failures),
        'n_recovered': 0,
        'n_reused': 0,
        'by_reason': dict(Counter(failures[index].reason.value for index in sorted(failures))),
        'failures': [FailureEntry(index=i, uid=str(frames.uid[i]), **failures[i].to_mapping()) for i in sorted(failures)],
        'remedies': {},
        'levels_of_theory': {name: dict(level) for name, level in levels.items()},
    }


def quarantined(frames: Frames, failures: Mapping[int, FrameFailure]) -> Frames:
    """Return the frames that failed, each with its reason in the column `reason`."""
    indices = sorted(failures)
    return frames.take(indices).replace(reason=[failures[index].reason.value for index in indices])


def without_outliers(
    indices: Sequence[int], labelled: Frames, threshold: float | None
) -> tuple[list[int], dict[int, FrameFailure]]:
    """Return the rows of `labelled` that stay, and the energy outliers as failures by index.

    :param indices: number of each labelled frame among all frames.
    :param threshold: robust z-score, see :func:`energy_outliers`; None lets all stay.
    """
    if threshold is None:
        return list(range(len(labelled))), {}
    is_outlier = energy_outliers(labelled, threshold)
    failures = {indices[row]: FrameFailure(Reason.ENERGY_OUTLIER) for row in np.flatnonzero(is_outlier).tolist()}
    return np.flatnonzero(~is_outlier).tolist(), failures
