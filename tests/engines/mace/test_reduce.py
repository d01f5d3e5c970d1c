"""Features of structures out of those of atoms, and largest forces."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.mace.reduce import largest_force, per_structure

FRAMES = Frames.from_atoms([Atoms('AlMgAl', np.eye(3)), Atoms('Mg'), Atoms('Al2', [[0, 0, 0], [0, 0, 3]])])


def test_known_answer():
    rows = np.array([[1.0], [5.0], [3.0], [7.0], [2.0], [2.0]])
    found = per_structure(rows, FRAMES, ['Al', 'Mg'], 'mean_std')
    np.testing.assert_allclose(found, [[2.0, 1.0, 5.0, 0.0], [0.0, 0.0, 7.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(per_structure(rows, FRAMES, ['Al', 'Mg'], 'mean'), found[:, ::2])


@pytest.mark.parametrize('reduction', ['mean_std', 'mean'])
def test_against_a_plain_loop(reduction):
    rng = np.random.default_rng(0)
    symbols = [rng.choice(['Al', 'Mg', 'Si'], size=rng.integers(1, 9)) for _ in range(30)]
    frames = Frames.from_atoms([Atoms(list(s), rng.normal(size=(len(s), 3))) for s in symbols])
    rows = rng.normal(size=(len(frames.numbers), 4))
    expected = []
    for index in range(len(frames)):
        own, parts = rows[frames.rows(index)], []
        for element in ('Al', 'Mg', 'Si'):
            part = own[np.array(frames.symbols(index)) == element]
            parts.append(part.mean(axis=0) if len(part) else np.zeros(4))
            if reduction == 'mean_std':
                parts.append(part.std(axis=0) if len(part) else np.zeros(4))
        expected.append(np.concatenate(parts))
    np.testing.assert_allclose(per_structure(rows, frames, ['Al', 'Mg', 'Si'], reduction), expected, atol=1e-12)


def test_largest_force():
    forces = np.zeros((6, 3))
    forces[1], forces[5] = [3, 4, 0], [0, 0, -2]
    np.testing.assert_allclose(largest_force(forces, FRAMES), [5.0, 0.0, 2.0])
    assert largest_force(np.zeros((0, 3)), Frames.from_atoms([])).shape == (0,)
