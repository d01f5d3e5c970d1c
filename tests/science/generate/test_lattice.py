"""Lattices: the same for each choice of the cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.science.generate.lattice import lattice_of
from tests.science.generate.crystals import disguised, random_crystal


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_other_cells_of_a_lattice(seed: int) -> None:
    atoms = random_crystal(seed)
    one, other = (lattice_of(a.cell.array) for a in (atoms, disguised(atoms, seed)))
    assert other.volume == pytest.approx(one.volume)
    assert other.longest == pytest.approx(one.longest)
    steps = np.linalg.solve(atoms.cell.array.T, one.reduced.T)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-8)
    assert abs(np.linalg.det(steps)) == pytest.approx(1.0)


def test_skewed_square() -> None:
    lattice = lattice_of(np.array([[2.0, 0, 0], [2.0, 3.0, 0], [4.0, 3.0, 5.0]]))
    assert (lattice.longest, lattice.volume) == (pytest.approx(5.0), pytest.approx(30.0))
    with pytest.raises(ValueError, match='read-only'):
        lattice.reduced[0, 0] = 1.0
