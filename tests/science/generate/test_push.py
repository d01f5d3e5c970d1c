"""Neighbours out of the way of an inserted atom: how far they go, which ones, and which way."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.frenkel import FrenkelPairs
from aiida_mlip_autopipe.science.generate.interstitial import Interstitials
from aiida_mlip_autopipe.science.generate.push import pushed
from tests.science.generate.parents import made, told

TOUCHING = 2 * covalent_radii[74]


def with_octahedral_atom() -> Atoms:
    """Return bcc tungsten with an atom in the middle of a face; two neighbours are at a / 2, four at a / sqrt(2)."""
    perfect = bulk('W', cubic=True, a=3.165).repeat((3, 3, 3))
    return perfect + Atoms('W', positions=[np.array([0.5, 0.5, 0.0]) * 3.165])


def test_near_neighbours_go_straight_away_and_the_others_stay() -> None:
    atoms = with_octahedral_atom()
    before = atoms.copy()
    moved = pushed(atoms, [54], 0.6) - atoms.positions
    lengths = np.linalg.norm(moved, axis=1)
    assert np.sort(lengths)[-2:] == pytest.approx([0.6 * TOUCHING - 3.165 / 2] * 2)
    assert np.count_nonzero(lengths) == 2
    np.testing.assert_allclose(moved[lengths > 0][:, :2], 0.0, atol=1e-12)  # up and down
    assert moved.sum(axis=0) == pytest.approx([0, 0, 0], abs=1e-12)
    assert atoms == before


def test_nothing_to_push() -> None:
    atoms = with_octahedral_atom()
    np.testing.assert_array_equal(pushed(atoms, [54], None), atoms.positions)
    np.testing.assert_array_equal(pushed(atoms, [54], 0.3), atoms.positions)


@pytest.mark.parametrize('strategy', [Interstitials(count=4, push=0.7), FrenkelPairs(count=4, push=0.7)])
def test_defects_without_short_bonds(strategy: Interstitials | FrenkelPairs) -> None:
    perfect = bulk('W', cubic=True, a=3.165).repeat((3, 3, 3))
    for atoms in made(strategy, perfect):
        assert told(atoms)['push'] == 0.7
        assert neighbor_list('d', atoms, 4.0).min() >= 0.68 * TOUCHING  # pushed ones come a little nearer to those behind
        (site,) = told(atoms)['sites']
        assert np.linalg.norm(atoms.positions - site, axis=1).min() < 1e-5


@pytest.mark.parametrize('push', [0.0, 1.3, float('nan')])
def test_out_of_range(push: float) -> None:
    with pytest.raises(ValidationError, match='push'):
        Interstitials(count=1, push=push)
