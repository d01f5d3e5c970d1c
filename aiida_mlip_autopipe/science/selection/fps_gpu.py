"""Farthest-point sampling on a GPU by PyTorch: the plain loop in double precision, one pass over the points for each pick."""

from __future__ import annotations

import importlib.util
from typing import Any, Final

import numpy as np

from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.science.selection.features import Features

BLOCK_VALUES: Final = 2**24
"""Differences in double precision that are held at once."""


def gpu_for(pool: Features) -> str | None:
    """Return the device of a GPU with room for the points, or None where PyTorch or a GPU is missing."""
    if importlib.util.find_spec('torch') is None:
        return None
    import torch

    needed = 2 * pool.nbytes + 8 * (2 * BLOCK_VALUES + 2 * len(pool))
    return 'cuda' if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > needed else None


def sample_on(device: str, pool: Features, n_picks: int, taken: Features, first: int | None) -> IntArray:
    """Return the picks: each the point whose nearest centre is the farthest, of equals the one with the lowest index.

    :param device: of PyTorch.
    :param taken: centres before the first pick.
    :param first: first pick, or None for the farthest from those taken.
    """
    import torch

    points = torch.as_tensor(pool, device=device)
    nearest = torch.full((len(pool),), torch.inf, dtype=torch.float64, device=device)
    for centre in torch.as_tensor(taken, device=device):
        _lower(nearest, points, centre)
    picks = np.empty(n_picks, dtype=np.int64)
    for step in range(n_picks):
        picks[step] = first if step == 0 and first is not None else int((nearest == nearest.max()).nonzero()[0])
        _lower(nearest, points, points[picks[step]])
        nearest[picks[step]] = -1.0
    return picks


def _lower(nearest: Any, points: Any, centre: Any) -> None:
    """Lower squared distances to the nearest centre by a new one, in place; those of centres stay negative."""
    n_rows = max(1, BLOCK_VALUES // points.shape[1])
    for start in range(0, len(points), n_rows):
        differences = points[start : start + n_rows].double() - centre.double()
        block = nearest[start : start + n_rows]
        block.copy_(block.minimum(differences.square_().sum(dim=1)))
