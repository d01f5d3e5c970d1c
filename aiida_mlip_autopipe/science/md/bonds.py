"""The shortest bond of a structure in units of the covalent radii."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from aiida_mlip_autopipe.common.frames import FloatArray, IntArray


def shortest_bond(positions: FloatArray, kinds: IntArray, n_own: int, radii: FloatArray) -> float:
    """Return the smallest d_ij / (r_i + r_j) over own atoms i and all atoms j; infinite when there is no pair.

    For each pair of kinds the nearest neighbour decides, so that nothing is missed and no list of pairs is made.

    :param positions: Å, own atoms first, then the periodic images around them, shape (n_all, 3).
    :param kinds: element of each atom as a place in `radii`, shape (n_all,).
    :param n_own: number of own atoms.
    :param radii: Å, covalent radius of each kind.
    """
    shortest = np.inf
    own_positions, own_kinds = positions[:n_own], kinds[:n_own]
    for other in np.unique(kinds):
        tree = cKDTree(positions[kinds == other])
        for kind in np.unique(own_kinds):
            rank = 2 if kind == other else 1  # the nearest atom of the own kind is the atom itself
            distances, _ = tree.query(own_positions[own_kinds == kind], k=[rank])
            shortest = min(shortest, float(np.min(distances)) / float(radii[kind] + radii[other]))
    return shortest
