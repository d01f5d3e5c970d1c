"""Shortest distances by pair of elements and the radii of the core."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.ace.core import CORE_FRACTION, core_radii, shortest_distances


def dimer(symbols: str, distance: float, pbc: bool = True) -> Atoms:
    return Atoms(symbols, positions=[[0, 0, 0], [distance, 0, 0]], cell=[20.0] * 3, pbc=pbc)


def test_every_pair_has_its_own_distance_whatever_the_order_of_its_atoms():
    frames = Frames.from_atoms([dimer('Al2', 2.5), dimer('MgAl', 2.2), dimer('AlMg', 2.3), dimer('Mg2', 2.9, pbc=False)])
    found = shortest_distances(frames, ['Mg', 'Al'], 5.0)
    assert found == pytest.approx({('Al', 'Al'): 2.5, ('Al', 'Mg'): 2.2, ('Mg', 'Mg'): 2.9})


def test_images_count():
    frames = Frames.from_atoms([bulk('Al', 'fcc', a=4.0)])
    assert shortest_distances(frames, ['Al'], 5.0) == pytest.approx({('Al', 'Al'): 4.0 / np.sqrt(2)})


def test_a_pair_that_does_not_occur_gets_the_shortest_of_all():
    frames = Frames.from_atoms([dimer('Al2', 2.5), dimer('AlMg', 2.2), dimer('Mg2', 6.0)])
    assert shortest_distances(frames, ['Al', 'Mg'], 5.0)['Mg', 'Mg'] == pytest.approx(2.2)


def test_other_elements_do_not_count():
    frames = Frames.from_atoms([dimer('Al2', 2.5), dimer('H2', 0.7)])
    assert shortest_distances(frames, ['Al'], 5.0) == pytest.approx({('Al', 'Al'): 2.5})


def test_frames_without_a_pair_are_refused():
    with pytest.raises(InputError, match=r"no two atoms of \['Al'\] are nearer than the cutoff of 5 Å"):
        shortest_distances(Frames.from_atoms([dimer('Al2', 6.0)]), ['Al'], 5.0)


def test_the_core_ends_below_the_shortest_distance():
    assert core_radii({('Al', 'Al'): 2.5}) == {('Al', 'Al'): pytest.approx(CORE_FRACTION * 2.5)}
    assert CORE_FRACTION < 0.9, 'at 1 the forces jump at a distance that the next training set may hold'
