"""Reports of stages as they are stored in nodes: the keys that one layer writes and another reads.

A key that is not required is missing in nodes of older versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict


class FailureFields(TypedDict):
    """What befell a frame, see `common.reasons.FrameFailure`."""

    reason: str
    detail: str


class FailureEntry(FailureFields):
    """A frame without a usable label, by its index among those that were to be labelled."""

    index: int
    uid: str


class LabelReport(TypedDict):
    """Report of a labelling: levels of theory by fingerprint, remedies by index of the frame.

    Quantum ESPRESSO adds what was `labelled` and `not_started` in a job by index, its warnings, and for the reuse of labels their
    uids and the `recipe`, see `common.fingerprint.recipe_of`.
    """

    n_frames: int
    n_labelled: int
    n_failed: int
    n_recovered: int
    n_reused: int
    by_reason: dict[str, int]
    failures: list[FailureEntry]
    remedies: dict[str, str]
    levels_of_theory: dict[str, dict[str, Any]]
    labelled: NotRequired[list[int]]
    not_started: NotRequired[list[int]]
    recipe: NotRequired[str]
    uids: NotRequired[list[str]]
    warnings: NotRequired[list[str]]


class SetErrors(TypedDict):
    """Errors on a set of frames, see `science.metrics`: eV/atom, eV/Å, eV/Å³."""

    energy_rmse: float
    force_rmse: float
    stress_rmse: float | None
    n_frames: int
    n_lineages: NotRequired[int]
    energy_interval: NotRequired[Sequence[float] | None]
    force_interval: NotRequired[Sequence[float] | None]
    label_energy: NotRequired[float]
    label_force: NotRequired[float]


Groups = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Errors by the name of a grouping and of the group, as `science.metrics.GroupErrors`."""


class CheckEntry(TypedDict):
    """A self-check of a potential, see `science.checks.finding.Finding`."""

    check: str
    passed: bool | None
    value: float | None
    limit: float | None
    unit: str
    message: str


class TrainReport(TypedDict):
    """Report of a training; `fit` is that of the trainer."""

    fit: dict[str, Any]
    train_errors: SetErrors | None
    test_errors: SetErrors | None
    test_groups: Groups | None
    test_caution: str
    gamma_train_max: float | None
    gamma_max: float | None
    checks: list[CheckEntry]
    failed_checks: list[str]


class TrajectoryEntry(TypedDict):
    """A trajectory of MD: K, eV/Å³, grades dimensionless, bonds in sums of covalent radii; shares are of its checks."""

    start: str
    lineage: str
    temperature: float
    temperature_end: float | None
    pressure: float | None
    seed: int
    reason: str
    passed: bool
    message: str
    steps_done: int
    n_checks: int
    warmup_steps: int
    n_selected: int
    gamma_max: float | None
    shortest_bond: float | None
    share_above_select: NotRequired[float | None]
    share_above_in_warmup: NotRequired[float | None]
    n_candidates: int
    n_before_failure: NotRequired[int]


class Rung(TypedDict):
    """How far a start came: the highest temperature (K) up to which all its trajectories passed, or None."""

    start: str
    lineage: str
    reached: float | None


class ExploreTotals(TypedDict):
    """What the trajectories of an exploration say together; temperatures in K, the grade dimensionless."""

    n_stopped: int
    reasons: dict[str, int]
    temperatures: list[float]
    ladder: list[Rung]
    is_passed: bool
    gamma_max: float | None
    share_above_select: float | None


class ExploreReport(ExploreTotals):
    """Report of an exploration."""

    n_trajectories: int
    n_candidates: int
    n_duplicates: int
    n_uncut: int
    trajectories: list[TrajectoryEntry]


class RoundCounts(TypedDict):
    """What a chain counts in a round; `potential` is the uuid of its result."""

    round: int
    labels_bought: int
    labels_total: int
    n_train: int
    n_test: int
    potential: NotRequired[str]


class RoundEntry(RoundCounts):
    """The entry of a round in the report of a run; None for what the round did not have."""

    explore: ExploreReport | None
    funnel: dict[str, int] | None
    funnel_by_config_type: NotRequired[dict[str, dict[str, int]] | None]
    funnel_reasons: NotRequired[dict[str, dict[str, int]] | None]
    labels_failed: int
    failures_by_reason: dict[str, int]
    levels_of_theory: dict[str, dict[str, Any]]
    acquisition: SetErrors | None
    ledger: NotRequired[list[dict[str, Any]] | None]
    train_errors: SetErrors | None
    test_errors: SetErrors | None
    failed_checks: NotRequired[list[str]]
    test_groups: NotRequired[Groups | None]
    test_caution: NotRequired[str]
    test_md: NotRequired[dict[str, Any] | None]
    stress_offset: NotRequired[float | None]
    stress_noise: NotRequired[float | None]
    gamma_max: float | None
