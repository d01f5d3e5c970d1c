"""How many frames of each config_type and composition to select, so that the shares asked for are met exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.common.frames import FloatArray

Cell = tuple[str, str]
"""A config_type and a composition."""

MISSED: Final = 1e4
"""Weight of a frame that misses a quota against one that lies off the proportions of the pool."""


@dataclass(frozen=True)
class Quotas:
    """Shares of the budget, each in [0, 1] and at most 1 together; what has no share gets from what is left.

    :param config_type: share by config_type.
    :param composition: share by reduced formula.
    """

    config_type: Mapping[str, float]
    composition: Mapping[str, float]

    def __bool__(self) -> bool:
        return bool(self.config_type) or bool(self.composition)


def whole_numbers(shares: Mapping[str, float], budget: int) -> dict[str, int]:
    """Return the share of each name in whole frames, together the rounded sum of all shares (largest remainders first).

    :param shares: of the budget, in [0, 1].
    :param budget: frames.
    """
    exact = {name: share * budget for name, share in shares.items()}
    numbers = {name: int(value + 1e-9) for name, value in exact.items()}
    missing = min(budget, round(sum(exact.values()))) - sum(numbers.values())
    by_remainder = sorted(exact, key=lambda name: (numbers[name] - exact[name], name))
    return {name: numbers[name] + (name in by_remainder[: max(missing, 0)]) for name in shares}


def allocate(
    cells: Sequence[Cell], quotas: Quotas, budget: int, least: Mapping[Cell, int] = MappingProxyType({})
) -> dict[Cell, int]:
    """Return how many frames to take from each cell, min(budget, frames) together.

    A mixed-integer linear program: quotas are missed as little as the pool allows, and beyond that the cells get shares in
    proportion to what they hold.

    :param cells: config_type and composition of each frame of the pool.
    :param budget: frames.
    :param least: frames that are taken from a cell in any case, together at most the budget.
    :raises FitError: the program has no solution, which cannot be.
    """
    available = Counter(cells)
    names = sorted(available)
    if not names:
        return {}
    total = min(budget, len(cells))
    held = np.array([available[name] for name in names], dtype=np.float64)
    rows = [np.ones(len(names)), *_sums(names, quotas, budget)[0]]
    wanted = [float(total), *_sums(names, quotas, budget)[1]]
    goals = [*np.eye(len(names))]
    matrix, low = _with_slack(np.array(rows), np.array(goals), np.array(wanted), held / held.sum() * total)
    n_slack = matrix.shape[1] - len(names)
    weights = np.ones(n_slack)
    weights[: 2 * (len(rows) - 1)] = MISSED
    found = milp(
        np.concatenate([np.zeros(len(names)), weights]),
        integrality=np.concatenate([np.ones(len(names)), np.zeros(n_slack)]),
        bounds=Bounds(
            np.concatenate([[least.get(name, 0) for name in names], np.zeros(n_slack)]),
            np.concatenate([held, np.full(n_slack, np.inf)]),
        ),
        constraints=LinearConstraint(matrix, low, low),
    )
    if found.x is None:
        raise FitError(f'no numbers of frames fit the quotas {quotas} and the budget {budget}: {found.message}')
    numbers = np.round(found.x[: len(names)]).astype(int).tolist()
    return {name: number for name, number in zip(names, numbers, strict=True) if number}


def _sums(names: Sequence[Cell], quotas: Quotas, budget: int) -> tuple[list[FloatArray], list[float]]:
    """Return for each quota which cells count towards it, and the number of frames that it wants."""
    rows, wanted = [], []
    for axis, shares in enumerate((quotas.config_type, quotas.composition)):
        for label, number in whole_numbers(shares, budget).items():
            rows.append(np.array([float(name[axis] == label) for name in names]))
            wanted.append(float(number))
    return rows, wanted


def _with_slack(hard: FloatArray, goals: FloatArray, wanted: FloatArray, ideal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the equations with two variables for each of them, what it falls short of and exceeds; the first has none."""
    rows = np.vstack([hard, goals])
    n_slack = len(rows) - 1
    slack = np.zeros((len(rows), 2 * n_slack))
    for number in range(n_slack):
        slack[number + 1, 2 * number : 2 * number + 2] = 1.0, -1.0
    return np.hstack([rows, slack]), np.concatenate([wanted, ideal])
