import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.pod.guards import require_neighbours, require_usable, surroundings


def test_neighbours_of_a_crystal():
    found = surroundings(bulk('Cu', a=3.6), 3.0)
    assert found.counts.tolist() == [12]
    assert found.shortest == pytest.approx(3.6 / np.sqrt(2))


def test_an_isolated_atom_is_refused():
    with pytest.raises(InputError, match=r'frame 4 .*atom 0 has no neighbour within the cutoff of 4\.5'):
        require_neighbours(Atoms('Cu', cell=[12] * 3, pbc=True), 4.5, 'frame 4')


def test_a_lone_pair_is_refused():
    with pytest.raises(InputError, match='two neighbours'):
        require_neighbours(Atoms('Cu2', [[0, 0, 0], [2.5, 0, 0]], cell=[12] * 3, pbc=True), 4.5, 'frame 0')


def test_a_lonely_atom_beside_a_crystal_is_refused():
    slab = bulk('Cu', cubic=True)
    slab.cell[2, 2] = 30.0
    slab.append('Cu')
    slab.positions[-1] = [0, 0, 15]
    slab.pbc = True
    with pytest.raises(InputError, match='atom 4'):
        require_neighbours(slab, 3.0, 'slab')


def test_frames_are_named():
    frames = Frames.from_atoms([bulk('Cu'), bulk('Ag')])
    with pytest.raises(InputError, match=r"frame 1: elements \['Ag'\]"):
        require_usable(frames, ['Cu'], 4.5)
    open_frame = bulk('Cu')
    open_frame.pbc = [True, True, False]
    with pytest.raises(InputError, match=r'frame 0: .*periodic'):
        require_usable(Frames.from_atoms([open_frame]), ['Cu'], 4.5)


def test_shortest_distance_is_handed_back():
    frames = Frames.from_atoms([bulk('Cu', a=3.6), bulk('Cu', a=3.2)])
    assert require_usable(frames, ['Cu'], 4.5) == pytest.approx(3.2 / np.sqrt(2))
