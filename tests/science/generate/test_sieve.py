"""The sieve: a named reason for each structure that does not pass, and counts of all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, with_lineage
from aiida_mlip_autopipe.science.generate.sieve import (
    DUPLICATE,
    EQUIVALENT,
    NOT_FINITE,
    TOO_MANY_ATOMS,
    Sieve,
    SieveLimits,
    Tally,
)
from aiida_mlip_autopipe.science.selection.sanity import (
    FLAT_CELL,
    LARGE_VOLUME,
    NOT_PERIODIC,
    SHORT_BOND,
    SKEWED_CELL,
    SanityLimits,
    sanity_reasons,
)
from tests.science.generate.crystals import random_crystal


def good() -> Atoms:
    return fresh_atoms(bulk('Al', cubic=True), 'sqs', '')


def with_nan() -> Atoms:
    atoms = good()
    atoms.positions[0, 0] = np.nan
    return atoms


def with_cell(rows: list[list[float]]) -> Atoms:
    return fresh_atoms(Atoms('Al', cell=rows, pbc=True), 'sqs', '')


CASES = {
    NOT_FINITE: with_nan,
    TOO_MANY_ATOMS: lambda: good().repeat((2, 2, 2)),
    NOT_PERIODIC: lambda: fresh_atoms(bulk('Al'), 'sqs', '', pbc=[True, True, False]),
    FLAT_CELL: lambda: with_cell([[4, 0, 0], [4, 0, 0], [0, 0, 4]]),
    SKEWED_CELL: lambda: with_cell([[4, 0, 0], [9, 3, 0], [0, 0, 4]]),
    LARGE_VOLUME: lambda: with_cell([[9, 0, 0], [0, 9, 0], [0, 0, 9]]),
    SHORT_BOND: lambda: fresh_atoms(bulk('Al', a=1.5), 'sqs', ''),
}


def sieve() -> Sieve:
    return Sieve(SieveLimits(SanityLimits(0.5, 65.0, 10.0, (0.0, 5.0)), max_atoms=16), Tally())


@pytest.mark.parametrize('reason', CASES)
def test_each_reason(reason: str) -> None:
    made = sieve()
    verdict = made.admit(CASES[reason](), 'step')
    assert (verdict.reason, verdict.atoms) == (reason, None)
    assert made.tally.of('step').rejected == {reason: 1}


def test_a_good_one_passes_once() -> None:
    made = sieve()
    first = made.admit(good(), 'step')
    again = made.admit(good(), 'step')
    shifted = good()
    shifted.positions += 0.3
    third = made.admit(shifted, 'step')
    assert [verdict.reason for verdict in (first, again, third)] == ['', DUPLICATE, EQUIVALENT]
    assert first.atoms is not None
    assert third.atoms is not None
    assert third.atoms.info['uid'] == first.atoms.info['uid']  # a repeat stands for the first
    step = made.tally.of('step')
    assert (step.tried, step.kept, step.sizes) == (3, 1, (4, 4))
    assert made.tally.kept == 1


def test_vacuum_is_no_reason_where_it_is_meant() -> None:
    slab = with_cell([[3, 0, 0], [0, 3, 0], [0, 0, 40]])
    assert sieve().admit(slab, 'step').reason == FLAT_CELL
    assert sieve().admit(slab, 'step', has_vacuum=True).reason == ''


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), fraction=st.floats(0.3, 0.95), width=st.floats(0.0, 0.3))
def test_the_same_bonds_are_short_as_in_selection(seed: int, fraction: float, width: float) -> None:
    """Copies of a parent, whose neighbours are taken from it, are judged as if each was searched on its own."""
    limits = SanityLimits(fraction, 90.0, math.inf)
    made, rng = Sieve(SieveLimits(limits), Tally()), np.random.default_rng(seed)
    parent = with_lineage(random_crystal(seed))
    for _ in range(3):
        child = fresh_atoms(parent, 'rattle', '', positions=parent.positions + rng.normal(scale=width, size=(len(parent), 3)))
        expected = sanity_reasons(Frames.from_atoms([child]), min_bond_fraction=fraction, max_skew=90.0, max_aspect=math.inf)
        verdict = made.admit(child, 'step', parent)
        assert (verdict.reason == SHORT_BOND) == (expected == [SHORT_BOND])


@pytest.mark.parametrize('values', [(np.nan, 0.0), (np.inf, 0.0), (np.inf, -np.inf)])
def test_all_that_is_not_finite(values: tuple[float, float]) -> None:
    atoms, other = good(), good()
    atoms.positions[1, :2] = values
    other.cell[0, :2] = values
    assert [sieve().admit(a, 'step').reason for a in (atoms, other)] == [NOT_FINITE] * 2


def test_no_room_for_any_atom() -> None:
    with pytest.raises(InputError, match='max_atoms must be at least 1, got 0'):
        SieveLimits(max_atoms=0)
