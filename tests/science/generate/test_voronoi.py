"""Empty sites: those of the textbooks in fcc, bcc and hcp, wherever the crystal lies, and how they are drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry import find_mic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from aiida_mlip_autopipe.science.generate.voronoi import drawn_apart, every_interstitial_site, interstitial_sites

A = 4.0
IDEAL = np.sqrt(8 / 3)

# Octahedral and tetrahedral sites of the conventional cells: scaled positions, how many there are in it, gap in units of a.
KNOWN = {
    'fcc': {'octahedral': ((0.5, 0.5, 0.5), 4, 0.5), 'tetrahedral': ((0.25, 0.25, 0.25), 8, np.sqrt(3) / 4)},
    'bcc': {'octahedral': ((0.5, 0.5, 0.0), 6, 0.5), 'tetrahedral': ((0.5, 0.25, 0.0), 12, np.sqrt(5) / 4)},
    'hcp': {'octahedral': ((0.0, 0.0, 0.0), 2, np.sqrt(0.5)), 'tetrahedral': ((1 / 3, 2 / 3, 0.125), 4, np.sqrt(6) / 4)},
}


def crystal(lattice: str) -> Atoms:
    if lattice == 'hcp':  # with the atoms of the textbook, on (1/3, 2/3, 1/4) and (2/3, 1/3, 3/4)
        atoms = bulk('Mg', 'hcp', a=A, covera=IDEAL)
        atoms.set_scaled_positions([[1 / 3, 2 / 3, 0.75], [2 / 3, 1 / 3, 0.25]])
        return atoms
    return bulk('Al', lattice, a=A, cubic=True)


def distance(atoms: Atoms, sites: np.ndarray, scaled: tuple[float, float, float]) -> np.ndarray:
    return np.asarray(find_mic(sites - np.array(scaled) @ atoms.cell.array, atoms.cell)[1])


@pytest.mark.parametrize('lattice', KNOWN)
def test_all_sites_are_those_of_the_textbook(lattice: str) -> None:
    atoms = crystal(lattice)
    sites = every_interstitial_site(atoms, 1.0)
    gaps = np.round([find_mic(atoms.positions - site, atoms.cell)[1].min() / A for site in sites], 6)
    assert Counter(gaps.tolist()) == {round(gap, 6): number for _, number, gap in KNOWN[lattice].values()}
    for scaled, _, gap in KNOWN[lattice].values():
        nearest = distance(atoms, sites, scaled)
        assert nearest.min() < 1e-6
        assert gaps[nearest.argmin()] == pytest.approx(gap, abs=1e-6)


@given(
    lattice=st.sampled_from(sorted(KNOWN)),
    shift=st.tuples(*[st.floats(0, 1)] * 3),
    turn=st.integers(0, 1000),
    repeats=st.sampled_from([(1, 1, 1), (2, 2, 2), (1, 1, 2), (2, 1, 2)]),
)
@settings(max_examples=15, deadline=None)
def test_two_distinct_sites_wherever_the_crystal_lies(
    lattice: str, shift: tuple[float, float, float], turn: int, repeats: tuple[int, int, int]
) -> None:
    atoms = crystal(lattice).repeat(repeats)
    rotation = Rotation.random(rng=np.random.default_rng(turn)).as_matrix()
    atoms.set_cell(atoms.cell.array @ rotation, scale_atoms=True)
    atoms.positions += shift
    sites = interstitial_sites(atoms, 1.0)
    gaps = [find_mic(atoms.positions - site, atoms.cell)[1].min() / A for site in sites]
    known = sorted((gap for _, _, gap in KNOWN[lattice].values()), reverse=True)
    kinds = [gap for index, gap in enumerate(gaps) if index == 0 or gap < gaps[index - 1] - 1e-5]
    np.testing.assert_allclose(kinds, known, atol=1e-5)
    if len(set(repeats)) == 1:  # the images of a site in a long cell are not those in a cube, so that directions differ
        assert len(gaps) == len(known)


def test_narrow_sites_are_left_out() -> None:
    atoms = crystal('fcc')
    assert len(interstitial_sites(atoms, 0.45 * A)) == 1
    assert len(interstitial_sites(atoms, 0.6 * A)) == 0


def test_sites_are_drawn_apart_or_not_at_all() -> None:
    atoms = crystal('fcc').repeat((2, 2, 2))
    sites = every_interstitial_site(atoms, 1.0)
    assert len(sites) == 8 * 12
    for seed in range(5):
        chosen = drawn_apart(atoms, sites, 10, 2.5, np.random.default_rng(seed))
        assert chosen is not None
        vectors = (sites[chosen][:, None] - sites[chosen])[np.triu_indices(10, 1)]
        assert find_mic(vectors, atoms.cell)[1].min() >= 2.5
    assert drawn_apart(atoms, sites, 2, 30.0, np.random.default_rng(0)) is None
