"""The split into training and test set by whole lineages, so that no relative of a test frame is trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import BoolArray

LARGEST_SHARE = 0.2
"""Of labels that are there already, no more than this share is taken from training for a test set."""

OVERSHOOT = 1.5
"""The test set may exceed its target by this factor; beyond it only when no other choice exists."""


@dataclass(frozen=True)
class _Family:
    name: str
    size: int
    composition: str
    elements: frozenset[str]


@dataclass(frozen=True)
class _Training:
    """How many lineages of the training set have each composition, and how many hold each element."""

    compositions: Counter[str]
    elements: Counter[str]

    @classmethod
    def of(cls, families: list[_Family]) -> _Training:
        return cls(
            Counter(family.composition for family in families),
            Counter(element for family in families for element in family.elements),
        )

    def drop(self, family: _Family) -> None:
        self.compositions[family.composition] -= 1
        self.elements.subtract(family.elements)

    def keeps_elements(self, family: _Family) -> bool:
        return all(self.elements[element] > 1 for element in family.elements)

    def keeps_composition(self, family: _Family) -> bool:
        return self.compositions[family.composition] > 1 and self.keeps_elements(family)


def held_out_share(n_frames: int, wanted: int) -> float:
    """Return the share of `n_frames` labelled frames that gives `wanted` test frames, at most a fifth."""
    return min(wanted / n_frames, LARGEST_SHARE) if n_frames else 0.0


def lineage_split(
    lineages: Sequence[str],
    compositions: Sequence[str],
    elements: Sequence[Sequence[str]],
    *,
    fraction: float,
    rng: np.random.Generator,
) -> BoolArray:
    """Return which frames belong to the test set, shape (n_frames,).

    Lineages are visited in random order and go to the test set until it holds the wanted fraction of the frames. A lineage
    qualifies while another one of its composition stays in training. If that gives no test frame, a lineage qualifies while
    each element still occurs in training. A lineage that would take the test set beyond 1.5 times its target is taken only
    if nothing smaller qualifies; then it is the smallest.

    :param lineages: uid of the root of each frame.
    :param compositions: composition of each frame; a lineage has the one most of its frames have, so that a structure with
        a vacancy does not make a composition of its own.
    :param elements: chemical symbols in each frame.
    :param fraction: wanted share of the frames in the test set, 0 ≤ fraction < 1.
    :raises InputError: columns differ in length, the fraction is out of range, there are fewer than two lineages, or each
        lineage holds an element of its own.
    """
    if not len(lineages) == len(compositions) == len(elements):
        raise InputError(f'columns of a split differ in length: {len(lineages)}, {len(compositions)}, {len(elements)}')
    if not 0.0 <= fraction < 1.0:
        raise InputError(f'the test fraction must lie in 0..1 and below 1, got {fraction}')
    if fraction == 0.0:
        return np.zeros(len(lineages), dtype=bool)
    families = _families(lineages, compositions, elements)
    if len(families) < 2:
        raise InputError(f'a test set needs at least two lineages, got {len(families)}')
    order = [families[index] for index in rng.permutation(len(families)).tolist()]
    tested = _test_families(order, fraction * len(lineages))
    if not tested:
        raise InputError(
            f'none of {len(families)} lineages can be tested: each holds an element that occurs in no other; '
            'add structures that share elements'
        )
    return np.array([name in tested for name in lineages], dtype=bool)


def _families(lineages: Sequence[str], compositions: Sequence[str], elements: Sequence[Sequence[str]]) -> list[_Family]:
    """Return the lineages in the order of their first frames."""
    members: dict[str, list[int]] = {}
    for index, name in enumerate(lineages):
        members.setdefault(name, []).append(index)
    return [
        _Family(
            name,
            len(rows),
            Counter(compositions[row] for row in rows).most_common(1)[0][0],
            frozenset().union(*(elements[row] for row in rows)),
        )
        for name, rows in members.items()
    ]


def _test_families(order: list[_Family], target: float) -> set[str]:
    for keeps in (_Training.keeps_composition, _Training.keeps_elements):
        if tested := _within_limit(order, keeps, target):
            return tested
    training = _Training.of(order)
    for keeps in (_Training.keeps_composition, _Training.keeps_elements):
        if candidates := [family for family in order if keeps(training, family)]:
            return {min(candidates, key=lambda family: family.size).name}
    return set()


def _within_limit(order: list[_Family], keeps: Callable[[_Training, _Family], bool], target: float) -> set[str]:
    training, tested, n_frames = _Training.of(order), set[str](), 0
    for family in order:
        if n_frames >= target:
            break
        if n_frames + family.size <= OVERSHOOT * target and keeps(training, family):
            training.drop(family)
            tested.add(family.name)
            n_frames += family.size
    return tested
