"""What labels taught: a frame whose error lies within the stated deviation was known before."""

from __future__ import annotations

import json

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.science.ledger import LedgerRow, negative_ledger

NOISE = 0.03


def frames(kinds: list[tuple[str, float | None]]) -> Frames:
    structures = []
    for index, (config_type, temperature) in enumerate(kinds):
        atoms = Atoms('Cu2', positions=[[0, 0, 0], [2, 2, 2 + index / 10]], cell=[4, 4, 4], pbc=True)
        origin = {'strategy': config_type} | ({} if temperature is None else {'temperature': temperature})
        atoms.info = {'config_type': config_type, 'origin': json.dumps(origin)}
        atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.zeros((2, 3)))
        structures.append(atoms)
    return Frames.from_atoms(structures)


def errors(*sizes: float) -> FloatArray:
    """Forces whose error has this root mean square over the components of each frame."""
    return np.repeat([[size, -size, size] for size in sizes for _ in range(2)], 1, axis=0)


def test_rows_by_config_type_and_temperature() -> None:
    pool = frames([('md', 300.0), ('md', 900.0), ('md', 300.0), ('rattle', None)])
    rows = negative_ledger(pool, errors(0.029, 0.2, 0.031, 0.01), np.zeros(8), NOISE)
    assert rows == [
        LedgerRow('md', 300.0, bought=2, known=1),
        LedgerRow('md', 900.0, bought=1, known=0),
        LedgerRow('rattle', None, bought=1, known=1),
    ]


def test_what_the_coefficients_leave_open_counts_as_stated() -> None:
    pool = frames([('md', 300.0)])
    spread = np.array([np.sqrt(3.0) * 0.2, 0.0])
    assert negative_ledger(pool, errors(0.14), spread, 0.0)[0].known == 1
    assert negative_ledger(pool, errors(0.15), spread, 0.0)[0].known == 0


def test_frames_without_a_label_do_not_count() -> None:
    pool = frames([('md', 300.0), ('md', 300.0)])
    blank = pool.take([0]).replace(labelled=False)
    assert negative_ledger(Frames.concatenate([blank, pool.take([1])]), errors(0.0, 0.0), np.zeros(4), NOISE)[0].bought == 1


def test_an_origin_that_is_no_record_has_no_temperature() -> None:
    pool = frames([('imported', None)]).replace(origin='a file')
    assert negative_ledger(pool, errors(0.0), np.zeros(2), NOISE) == [LedgerRow('imported', None, 1, 1)]
