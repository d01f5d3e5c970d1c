"""Frames that got no label: each with its reason, none dropped silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A frame without a usable label."""

    index: int
    uid: str
    reason: str


def label_report(n_frames: int, failures: Sequence[Failure], levels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the report of a labelling.

    :param n_frames: frames that were to be labelled.
    :param failures: frames that were not.
    :param levels: level of theory by fingerprint.
    """
    return {
        'n_frames': n_frames,
        'n_labelled': n_frames - len(failures),
        'n_failed': len(failures),
        'by_reason': dict(Counter(failure.reason for failure in failures)),
        'failures': [asdict(failure) for failure in sorted(failures, key=lambda f: f.index)],
        'levels_of_theory': {name: dict(level) for name, level in levels.items()},
    }
