"""D-optimal choice: who wins places of the active set, and that one run does not take them all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.selection.d_optimal import AtomRows, d_optimal_frames, rows_won
from aiida_mlip_autopipe.science.uncertainty.active_set import element_set


def atoms_of(*frames: list[list[float]], kind: int = 0) -> AtomRows:
    rows = np.array([row for frame in frames for row in frame], dtype=np.float64)
    counts = np.array([len(frame) for frame in frames], dtype=np.int64)
    return AtomRows(rows, np.full(len(rows), kind, dtype=np.int64), counts)


KNOWN = atoms_of([[1, 0, 0], [0, 1, 0]])
INSIDE = [[0.5, 0, 0], [0, 0.3, 0.0]]
NEW = [[0, 0, 2.0], [0.1, 0, 0]]
LARGE = [[3.0, 0, 0], [0, 3.0, 0]]


def test_places_of_new_and_of_longer_directions() -> None:
    assert rows_won(atoms_of(INSIDE, NEW, LARGE), KNOWN).tolist() == [0, 1, 2]


def test_most_places_first_and_none_that_wins_nothing() -> None:
    candidates = atoms_of(INSIDE, NEW, LARGE)
    assert d_optimal_frames(candidates, 3, known=KNOWN).tolist() == [2, 1]
    assert d_optimal_frames(candidates, 1, known=KNOWN).tolist() == [2]
    assert d_optimal_frames(candidates, 0, known=KNOWN).tolist() == []
    assert d_optimal_frames(atoms_of(INSIDE), 3, known=KNOWN).tolist() == []


def test_the_same_frame_wins_once() -> None:
    assert sorted(rows_won(atoms_of(NEW, NEW), KNOWN).tolist()) == [0, 1]


def test_without_known_frames_the_candidates_compete_alone() -> None:
    assert rows_won(atoms_of(INSIDE, LARGE)).tolist() == [0, 2]


def test_elements_compete_apart() -> None:
    """What is inside for one element is new for another."""
    rows = np.array([[0.5, 0, 0], [0.5, 0, 0]])
    candidates = AtomRows(rows, np.array([0, 1]), np.array([1, 1]))
    assert rows_won(candidates, KNOWN).tolist() == [0, 1]


def test_a_known_element_that_no_candidate_has_is_left_alone() -> None:
    other = atoms_of([[1, 1, 1]], kind=1)
    assert rows_won(atoms_of(NEW), AtomRows.joined(KNOWN, other)).tolist() == [1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_it_is_the_active_set_of_all(seed: int) -> None:
    """The places are those of `element_set` on the same rows, and no unit of a column matters."""
    rng = np.random.default_rng(seed)
    own, known = rng.normal(size=(24, 5)), rng.normal(size=(12, 5))
    candidates = AtomRows(own, np.zeros(24, dtype=np.int64), np.full(6, 4))
    taken = AtomRows(known, np.zeros(12, dtype=np.int64), np.full(3, 4))
    atoms = element_set(np.concatenate([own, known]), np.arange(36), epsilon=1e-2).atoms
    expected = [int(((atoms >= 4 * frame) & (atoms < 4 * frame + 4)).sum()) for frame in range(6)]
    assert rows_won(candidates, taken).tolist() == expected
    scale = 10.0 ** rng.uniform(-3, 3, 5)
    scaled = [AtomRows(part.rows * scale, part.kinds, part.counts) for part in (candidates, taken)]
    assert rows_won(*scaled).tolist() == expected


SPREAD = atoms_of(*[[[0.0] * place + [9.0 - place] + [0.0] * (5 - place)] for place in range(6)])
"""Six frames, each of which wins one place."""


def test_one_run_gives_half_at_most() -> None:
    names = ['a', 'a', 'a', 'a', 'b', 'b']
    assert d_optimal_frames(SPREAD, 4, trajectories=names).tolist() == [0, 1, 4, 5]
    assert d_optimal_frames(SPREAD, 3, trajectories=names).tolist() == [0, 1, 4]


def test_one_run_gives_more_where_there_is_no_other() -> None:
    assert d_optimal_frames(SPREAD, 4, trajectories=['a'] * 6).tolist() == [0, 1, 2, 3]
    assert d_optimal_frames(SPREAD, 4, trajectories=['a'] * 5 + ['b']).tolist() == [0, 1, 5, 2]


def test_every_frame_alone_where_nothing_is_said_of_runs() -> None:
    assert d_optimal_frames(SPREAD, 4).tolist() == [0, 1, 2, 3]


def test_taking_and_joining_keep_the_atoms_of_a_frame() -> None:
    rows = AtomRows.joined(atoms_of(INSIDE, NEW), atoms_of([[7.0, 7, 7]]))
    picked = rows.take(np.array([2, 0]))
    assert len(rows) == 3
    assert picked.rows.tolist() == [[7, 7, 7], *INSIDE]
    assert picked.owners.tolist() == [0, 1, 1]
    assert len(rows.take(np.zeros(0, dtype=np.int64))) == 0


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r'2 atoms have rows of shape \(3, 2\) and kinds of shape \(3,\)'):
        AtomRows(np.zeros((3, 2)), np.zeros(3, dtype=np.int64), np.array([2]))
    with pytest.raises(InputError, match=r'differ in their number of columns: \[3, 4\]'):
        rows_won(atoms_of(NEW), atoms_of([[1.0, 2, 3, 4]]))
