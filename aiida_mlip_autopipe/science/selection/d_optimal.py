"""D-optimal choice: the frames whose atoms enter the active set when it is made anew of training atoms and candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.science.uncertainty.active_set import element_set

EPSILON: Final = 1e-2
"""Length of the artificial rows, as in the active set of ACE: a direction that only noise shows wins nothing."""


@dataclass(frozen=True, eq=False)
class AtomRows:
    """Descriptors of the atoms of some frames.

    :param rows: what the energy of an atom is linear in, shape (n_atoms, n_columns).
    :param kinds: position of the element of each atom, shape (n_atoms,).
    :param counts: atoms of each frame, shape (n_frames,).
    :raises InputError: shapes that do not fit.
    """

    rows: FloatArray
    kinds: IntArray
    counts: IntArray

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together."""
        n_atoms = int(self.counts.sum())
        if self.rows.ndim != 2 or self.rows.shape[0] != n_atoms or self.kinds.shape != (n_atoms,):
            raise InputError(f'{n_atoms} atoms have rows of shape {self.rows.shape} and kinds of shape {self.kinds.shape}')

    @classmethod
    def joined(cls, *parts: AtomRows) -> Self:
        """Return the rows of all frames, one part after the other.

        :raises InputError: parts that differ in their columns.
        """
        if len(widths := {part.rows.shape[1] for part in parts}) > 1:
            raise InputError(f'descriptors of atoms differ in their number of columns: {sorted(widths)}')
        columns = zip(*((part.rows, part.kinds, part.counts) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def owners(self) -> IntArray:
        """Frame of each atom, shape (n_atoms,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def take(self, indices: IntArray) -> Self:
        """Return the rows of some frames, in their order."""
        ends = np.cumsum(self.counts)
        parts = [np.arange(ends[index] - self.counts[index], ends[index]) for index in indices.tolist()]
        own = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        return type(self)(self.rows[own], self.kinds[own], self.counts[indices])


class AtomPick(Protocol):
    """Picks frames by the descriptors of their atoms; entry points name it beside selectors that look at features of frames."""

    def __call__(
        self, candidates: AtomRows, count: int, *, known: AtomRows | None, trajectories: Sequence[str] | None
    ) -> IntArray:
        """Return the indices of at most `count` candidates."""


def rows_won(candidates: AtomRows, known: AtomRows | None = None) -> IntArray:
    """Return how many places of the active set of training and candidate atoms each candidate takes, shape (n_frames,).

    :param known: of the training set; its atoms compete for the places.
    :raises InputError: the two differ in their columns.
    """
    both = candidates if known is None else AtomRows.joined(candidates, known)
    won = np.zeros(len(candidates), dtype=np.int64)
    owners, n_own = candidates.owners, len(candidates.rows)
    for kind in np.unique(candidates.kinds):
        own = np.flatnonzero(both.kinds == kind)
        chosen = element_set(both.rows[own], own, epsilon=EPSILON).atoms
        won += np.bincount(owners[chosen[chosen < n_own]], minlength=len(won))
    return won


def d_optimal_frames(
    candidates: AtomRows, count: int, *, known: AtomRows | None = None, trajectories: Sequence[str] | None = None
) -> IntArray:
    """Return at most `count` candidates, those first whose atoms take most places of the active set; none that takes no place.

    :param known: of the training set.
    :param trajectories: which candidates come from one run: it gives at most half of what is picked, unless there are too few
        others. None: each stands alone.
    """
    won = rows_won(candidates, known)
    ranked = [index for index in np.argsort(-won, kind='stable').tolist() if won[index] > 0]
    names = range(len(candidates)) if trajectories is None else trajectories
    taken: Counter[str | int] = Counter()
    first, later = list[int](), list[int]()
    for index in ranked:
        taken[names[index]] += 1
        (first if taken[names[index]] <= -(-count // 2) else later).append(index)
    return np.array([*first, *later][:count], dtype=np.int64)
