import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.pod.guards import (
    require_neighbours,
    require_sane,
    require_trainable,
    require_usable,
    surroundings,
)
from tests.pod_data import ELEMENTS, REFERENCES, alloy, labelled


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


@pytest.fixture
def frames():
    return Frames.from_atoms([labelled(alloy(np.random.default_rng(0)))])


def test_training_set_needs_frames():
    with pytest.raises(FitError, match='no frame'):
        require_trainable(Frames.from_atoms([]), REFERENCES, ELEMENTS)


def test_training_set_needs_labels(frames):
    mixed = Frames.concatenate([frames, Frames.from_atoms([bulk('Cu')])])
    with pytest.raises(FitError, match='frame 1'):
        require_trainable(mixed, REFERENCES, ELEMENTS)


def test_each_element_needs_training_atoms(frames):
    with pytest.raises(FitError, match='Ag'):
        require_trainable(frames, {**REFERENCES, 'Ag': 0.0}, (*ELEMENTS, 'Ag'))


@pytest.mark.parametrize('references', [{'Cu': 1.0}, {'Cu': 1.0, 'Au': float('nan')}])
def test_each_element_needs_a_finite_reference(frames, references):
    with pytest.raises(InputError, match=r"\['Au'\]"):
        require_trainable(frames, references, ELEMENTS)


def test_coefficients_must_be_finite():
    with pytest.raises(FitError, match='coefficient 1'):
        require_sane(np.array([0.0, np.inf]), 0.1, 1.0)


@pytest.mark.parametrize('rmse', [1.5, float('nan')])
def test_forces_worse_than_none_are_refused(rmse):
    with pytest.raises(FitError, match='more than the forces themselves'):
        require_sane(np.zeros(2), rmse, 1.0)


def test_perfect_crystals_without_forces_pass():
    require_sane(np.zeros(2), 1e-3, 0.0)
