import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.checks.wall import WallPath, closest_contacts, wall_finding, wall_paths
from tests import pod_data

CUTOFF = 4.5
PLACE = 1e-9
"""Å, rounding of distances."""


@pytest.fixture(scope='module')
def frames():
    return pod_data.training_frames(8)


@pytest.fixture(scope='module')
def paths(frames):
    return wall_paths(frames, pod_data.ELEMENTS, cutoff=CUTOFF, depth=0.5, n_points=6)


def shortest(atoms, pair=None):
    first, second, distances = neighbor_list('ijd', atoms, CUTOFF)
    symbols = np.array(atoms.get_chemical_symbols())
    if pair is not None:
        own = [sorted((a, b)) == sorted(pair) for a, b in zip(symbols[first], symbols[second], strict=True)]
        distances = distances[own]
    return distances.min() if len(distances) else np.inf


def test_the_closest_pairs_of_the_training_set(frames):
    found = closest_contacts(frames, CUTOFF)
    assert set(found) == {('Cu', 'Cu'), ('Au', 'Cu'), ('Au', 'Au')}
    for pair, contact in found.items():
        assert contact.distance == pytest.approx(min(shortest(atoms, pair) for atoms in frames), abs=PLACE)


def test_a_path_for_each_pair_begins_at_its_shortest_distance(frames, paths):
    assert [path.pair for path in paths] == [('Cu', 'Cu'), ('Cu', 'Au'), ('Au', 'Au')]
    for path in paths:
        start = min(shortest(atoms, path.pair) for atoms in frames)
        np.testing.assert_allclose(path.distances, start * np.linspace(1, 0.5, 6))
        assert path.is_trained


def test_the_two_atoms_are_as_close_as_the_path_says(paths):
    for path in paths:
        for distance, atoms in zip(path.distances, path.structures, strict=True):
            assert shortest(atoms, path.pair) == pytest.approx(distance, abs=PLACE)


def test_only_two_atoms_move_and_each_by_the_same_amount(paths):
    for path in paths:
        moves = np.linalg.norm(path.structures[-1].positions - path.structures[0].positions, axis=1)
        moved = moves[moves > PLACE]
        np.testing.assert_allclose(moved, path.distances[0] / 4)
        assert len(moved) == 2


def test_a_pair_does_not_feel_its_images(paths):
    for path in paths:
        atoms = path.structures[0]
        heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
        assert heights.min() >= CUTOFF + path.distances[0]


def test_the_frames_are_left_alone(frames):
    before = frames.positions.copy()
    wall_paths(frames, pod_data.ELEMENTS, cutoff=CUTOFF, depth=0.5, n_points=5)
    np.testing.assert_array_equal(frames.positions, before)


def test_a_pair_that_was_never_seen_takes_the_place_of_the_closest():
    pure = Frames.from_atoms([bulk('Cu', cubic=True), bulk('Au', cubic=True)])
    cu, mixed, _ = wall_paths(pure, ('Cu', 'Au'), cutoff=CUTOFF, depth=0.5, n_points=5)
    assert (cu.is_trained, mixed.is_trained) == (True, False)
    assert mixed.distances[0] == pytest.approx(3.61 / np.sqrt(2))
    assert sorted(mixed.structures[0].get_chemical_symbols()).count('Au') == 1


def test_one_atom_in_its_cell_is_the_neighbour_of_its_image():
    (path,) = wall_paths(Frames.from_atoms([bulk('Cu')]), ('Cu',), cutoff=CUTOFF, depth=0.5, n_points=5)
    assert shortest(path.structures[-1]) == pytest.approx(3.61 / np.sqrt(2) / 2)


def test_atoms_out_of_reach_have_no_path():
    far = Frames.from_atoms([Atoms('Cu', cell=[20] * 3, pbc=True)])
    assert wall_paths(far, ('Cu',), cutoff=CUTOFF, depth=0.5, n_points=5) == []


def path(energies):
    distances = np.linspace(2.0, 1.0, len(energies))
    return WallPath(('Al', 'Mg'), distances, [], True), np.array(energies)


class TestFinding:
    def test_a_rising_wall(self):
        found = wall_finding(*path([-50.0, -49.0, -45.0]), limit=0.01)
        assert (found.check, found.passed, found.value) == ('wall_Al-Mg', True, 0.0)
        assert found.message == 'the energy of a pair Al-Mg rises by 5 eV from 2.00 Å to 1.00 Å'

    def test_a_hole(self):
        found = wall_finding(*path([0.0, 1.0, 2.0, -3.0, 9.0]), limit=0.01)
        assert (found.passed, found.value) == (False, 5.0)
        assert 'falls by 5 eV on the way from 2.00 Å (the shortest in the training set) to 1.25 Å' in found.message

    def test_a_path_that_begins_downhill(self):
        assert wall_finding(*path([0.0, -0.5, 3.0]), limit=0.01).passed is False

    def test_a_small_dip_may_be_allowed(self):
        assert wall_finding(*path([0.0, -0.5, 3.0]), limit=0.6).passed is True

    def test_not_a_number(self):
        found = wall_finding(*path([0.0, np.nan, 3.0]), limit=0.01)
        assert (found.passed, found.value) == (False, None)

    def test_a_pair_out_of_the_training_set_is_told(self):
        walls, energies = path([0.0, -1.0])
        walls = WallPath(walls.pair, walls.distances, [], False)
        assert 'this one is not in the training set' in wall_finding(walls, energies, limit=0.0).message


def test_a_real_repulsion_rises():
    """Lennard-Jones atoms repel each other in any surroundings."""
    (walls,) = wall_paths(Frames.from_atoms([bulk('Cu', cubic=True)]), ('Cu',), cutoff=CUTOFF, depth=0.5, n_points=8)
    energies = []
    for atoms in walls.structures:
        atoms.calc = LennardJones(sigma=2.2, epsilon=0.4, rc=6.0)
        energies.append(atoms.get_potential_energy())
    assert wall_finding(walls, np.array(energies), limit=0.0).passed
