"""The gate: a named reason for each structure that does not pass, and counts of all."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.checks import DUPLICATE, EQUIVALENT, NOT_FINITE, TOO_MANY_ATOMS, Checks, Gate, Tally
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms
from aiida_mlip_autopipe.science.select.sanity import FLAT_CELL, LARGE_VOLUME, NOT_PERIODIC, SHORT_BOND, SKEWED_CELL, SanityLimits


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


def gate() -> Gate:
    return Gate(Checks(SanityLimits(0.5, 65.0, 10.0, (0.0, 5.0)), max_atoms=16), Tally())


@pytest.mark.parametrize('reason', CASES)
def test_each_reason(reason: str) -> None:
    made = gate()
    verdict = made.admit(CASES[reason](), 'step')
    assert (verdict.reason, verdict.atoms) == (reason, None)
    assert made.tally.of('step').rejected == {reason: 1}


def test_a_good_one_passes_once() -> None:
    made = gate()
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
    assert gate().admit(slab, 'step').reason == FLAT_CELL
    assert gate().admit(slab, 'step', has_vacuum=True).reason == ''


def test_no_room_for_any_atom() -> None:
    with pytest.raises(InputError, match='max_atoms must be at least 1, got 0'):
        Checks(max_atoms=0)
