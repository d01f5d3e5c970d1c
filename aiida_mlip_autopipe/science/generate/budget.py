"""A fixed number of structures, shared out among the strategies that can go on drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError

PATIENCE = 100
"""Structures of one strategy that may fail in a row, by a check or as a repeat, before it is given up."""

Draw = Callable[[], Atoms | None]
"""Returns a new structure, or None where it did not pass."""


@dataclass(frozen=True)
class Budget:
    """How many structures to make in all.

    :param n_structures: bases and fixed sets, which come whole, and random structures that fill up.
    :param weights: share of each strategy among the random structures, dimensionless; a strategy that is not named has its
        `count` as its weight.
    :raises InputError: a number is out of range.
    """

    n_structures: int
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers that share out nothing."""
        if self.n_structures < 1:
            raise InputError(f'budget: n_structures must be at least 1, got {self.n_structures}')
        if negative := {name: weight for name, weight in self.weights.items() if not weight >= 0}:
            raise InputError(f'budget: weights must be at least 0, got {negative}')


def shares(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Return whole numbers that add up to `total` and are nearest to the weights: largest remainders, names in order.

    :param weights: at least 0, not all 0.
    """
    sum_of_weights = sum(weights.values())
    exact = {name: total * weight / sum_of_weights for name, weight in weights.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def fill(missing: int, draws: Mapping[str, Draw], weights: Mapping[str, float]) -> Iterator[Atoms]:
    """Yield `missing` structures; a strategy that is given up leaves its share to the others.

    :param draws: of each strategy that can draw.
    :param weights: of each of them.
    """
    active = {name: weights[name] for name in draws if weights[name] > 0}
    while missing > 0 and active:
        for name, quota in shares(missing, active).items():
            made = 0
            for atoms in _patiently(draws[name], quota):
                made += 1
                yield atoms
            missing -= made
            if made < quota:
                del active[name]


def _patiently(draw: Draw, quota: int) -> Iterator[Atoms]:
    failures = 0
    while quota > 0 and failures < PATIENCE:
        atoms = draw()
        failures = 0 if atoms is not None else failures + 1
        if atoms is not None:
            quota -= 1
            yield atoms
