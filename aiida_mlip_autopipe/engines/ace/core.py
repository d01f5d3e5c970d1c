"""Shortest distances of a training set by pair of elements, and the core below them, where ACE repels as ZBL does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from ase.data import atomic_numbers
from matscipy.neighbours import neighbour_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames

Pair = tuple[str, str]
"""Two chemical symbols, sorted by name."""

CORE_OUTER: Final = 0.8
CORE_INNER: Final = 0.5
"""ACE gives way to the full ZBL repulsion between these shares of the shortest training distance of a pair of elements.

A core that begins at the shortest distance itself, as that of Pacemaker's `repulsion: auto`, makes the forces jump just below it.
"""


def shortest_distances(frames: Frames, elements: Sequence[str], cutoff: float) -> dict[Pair, float]:
    """Return the shortest distance of each pair of elements, Å; a pair that does not occur gets the shortest of all.

    :param elements: chemical symbols; atoms of others do not count.
    :param cutoff: Å, pairs at a larger distance do not count.
    :raises InputError: no two atoms are nearer than the cutoff.
    """
    place = np.full(max(atomic_numbers.values()) + 1, -1)
    names = sorted(elements)
    place[[atomic_numbers[name] for name in names]] = np.arange(len(names))
    shortest = np.full((len(names), len(names)), np.inf)
    for atoms in frames:
        first, second, distances = neighbour_list('ijd', atoms=atoms, cutoff=cutoff)
        kinds = place[atoms.numbers]
        known = (kinds[first] >= 0) & (kinds[second] >= 0)
        np.minimum.at(shortest, (kinds[first][known], kinds[second][known]), distances[known])
    if not np.isfinite(shortest).any():
        raise InputError(f'no two atoms of {names} are nearer than the cutoff of {cutoff:g} Å')
    found = np.where(np.isfinite(shortest), shortest, shortest.min())
    return {(names[i], names[j]): float(found[i, j]) for i, j in combinations_with_replacement(range(len(names)), 2)}


def cores(shortest: Mapping[Pair, float]) -> dict[Pair, tuple[float, float]]:
    """Return where the core of each pair of elements begins, Å, and how far below that the repulsion is there in full, Å.

    :param shortest: Å, of :func:`shortest_distances`.
    """
    return {pair: (CORE_OUTER * distance, (CORE_OUTER - CORE_INNER) * distance) for pair, distance in shortest.items()}
