"""Selectors to compare farthest-point sampling with: random, CUR and MaxVol, behind the same interface."""

from __future__ import annotations

from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.science.selection.features import Features, checked_pool
from aiida_mlip_autopipe.science.uncertainty.maxvol import maxvol

NOTHING_LEFT: Final = 1e-10
"""Share of the largest singular value, or of the longest row, below which a direction counts as rounding."""


def random_points(
    features: Features, count: int, *, known: Features | None = None, rng: np.random.Generator | None = None
) -> IntArray:
    """Return the indices of `count` points, or of all when there are fewer, each equally likely.

    :param features: shape (n, d); the values do not matter.
    :param count: number of points to pick, at least 0.
    :param known: shape (m, d), or None; does not matter.
    :param rng: what is drawn from.
    :raises InputError: there is no rng, a feature is not finite, a shape does not fit or the count is negative.
    """
    pool, _ = checked_pool(features, count, known)
    if rng is None:
        raise InputError('a random selection needs a random generator')
    return np.asarray(rng.permutation(len(pool))[:count], dtype=np.int64)


def cur_points(
    features: Features, count: int, *, known: Features | None = None, rng: np.random.Generator | None = None
) -> IntArray:
    """Return the rows of a CUR decomposition: each the one with the largest leverage in what the rows before leave over.

    The leverage of a row is its squared component in the first left singular vector; then the row is projected out of all
    (Imbalzano et al., J. Chem. Phys. 148, 241730, 2018). Once nothing is left over, it begins anew with the rows not taken.
    Ties go to the lowest index.

    :param features: shape (n, d), of comparable scale in each column.
    :param count: number of points to pick, at least 0.
    :param known: rows that are projected out before the first pick, shape (m, d), or None.
    :param rng: not drawn from.
    :raises InputError: a feature is not finite, a shape does not fit or the count is negative.
    """
    del rng
    pool, taken = checked_pool(features, count, known)
    whole = np.asarray(pool, dtype=np.float64)
    rest = _outside_span(whole, taken)
    limit = NOTHING_LEFT * max(float(np.linalg.norm(whole, axis=1).max(initial=0.0)), np.finfo(np.float64).tiny)
    is_open = np.ones(len(pool), dtype=bool)
    picks: list[int] = []
    while len(picks) < min(count, len(pool)):
        scores = np.where(is_open, _leverage(rest), -1.0)
        pick = int(scores.argmax())
        length = float(np.linalg.norm(rest[pick]))
        if length <= limit and picks and rest is not whole:
            rest = whole * is_open[:, None]
            if float(np.linalg.norm(rest, axis=1).max()) > limit:
                continue
            rest = whole  # all that is left lies at the origin: take it in order
        is_open[pick] = False
        picks.append(pick)
        if length > limit:
            direction = rest[pick] / length
            rest = rest - np.outer(rest @ direction, direction)
    return np.array(picks, dtype=np.int64)


def maxvol_points(
    features: Features, count: int, *, known: Features | None = None, rng: np.random.Generator | None = None
) -> IntArray:
    """Return rows that span the largest volume.

    MaxVol takes as many rows as there are columns. For fewer rows the features are first reduced to their leading principal
    components, as many as rows are wanted; for more, it is repeated on the rows not taken. Beside known rows only what lies
    outside of their span counts, while there is any.

    :param features: shape (n, d), of comparable scale in each column.
    :param count: number of points to pick, at least 0.
    :param known: shape (m, d), or None.
    :param rng: not drawn from.
    :raises InputError: a feature is not finite, a shape does not fit or the count is negative.
    """
    del rng
    pool, taken = checked_pool(features, count, known)
    whole = np.asarray(pool, dtype=np.float64)
    rest = _outside_span(whole, taken)
    picks: list[int] = []
    while len(picks) < min(count, len(pool)):
        open_rows = np.setdiff1d(np.arange(len(pool)), picks)
        components = _principal(rest[open_rows], count - len(picks))
        if components.shape[1]:
            picks += open_rows[np.sort(maxvol(components).indices)].tolist()
        elif rest is whole:  # all rows at the origin: take them in order
            picks += open_rows[: count - len(picks)].tolist()
        rest = whole
    return np.array(picks[:count], dtype=np.int64)


def _outside_span(rows: FloatArray, known: Features) -> FloatArray:
    """Return what of the rows lies outside of the span of the known ones; the rows themselves when nothing does."""
    if not len(known):
        return rows
    _, values, basis = np.linalg.svd(np.asarray(known, dtype=np.float64), full_matrices=False)
    basis = basis[values > NOTHING_LEFT * values.max(initial=0.0)]
    rest = rows - (rows @ basis.T) @ basis
    longest = np.linalg.norm(rows, axis=1).max(initial=0.0)
    return rest if np.linalg.norm(rest, axis=1).max(initial=0.0) > 1e3 * NOTHING_LEFT * longest else rows


def _leverage(rows: FloatArray) -> FloatArray:
    """Return the squared components in the first left singular vector, not normalised, shape (n,)."""
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return np.asarray((rows @ vectors[:, -1]) ** 2)


def _principal(rows: FloatArray, count: int) -> FloatArray:
    """Return at most `count` leading principal components, without those that are rounding, shape (n, m)."""
    values, vectors = np.linalg.eigh(rows.T @ rows)
    lengths = np.sqrt(np.maximum(values, 0.0))
    n_columns = min(count, len(rows), int((lengths > 1e-6 * lengths.max(initial=0.0)).sum()))
    return np.asarray(rows @ vectors[:, len(values) - n_columns :])
