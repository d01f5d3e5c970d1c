"""Shortest distances of a training set by pair of elements, and the radii below which an ACE potential repels as ZBL does."""

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

CORE_FRACTION: Final = 0.8
"""Radius of the core in units of the shortest training distance. At 1 the forces jump just below it: 8 eV/Å were seen."""

CORE_WIDTH: Final = 0.1
"""Å; the ZBL repulsion is switched on between the radius of the core and this much below it."""


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


def core_radii(shortest: Mapping[Pair, float]) -> dict[Pair, float]:
    """Return the radius of the core of each pair of elements, Å.

    :param shortest: Å, of :func:`shortest_distances`.
    """
    return {pair: CORE_FRACTION * distance for pair, distance in shortest.items()}
