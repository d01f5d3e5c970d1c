import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.carve import carve
from tests import pod_data

CUTOFF = 4.5


def crystal(seed=0, size=(6, 6, 6), rattle=0.15):
    rng = np.random.default_rng(seed)
    atoms = bulk('Cu', a=3.7, cubic=True) * size
    atoms.symbols[rng.permutation(len(atoms))[: len(atoms) // 3]] = 'Au'
    atoms.positions += rng.normal(0, rattle, atoms.positions.shape)
    atoms.wrap()
    return atoms


def environment(atoms, centre):
    """Return elements and vectors to all neighbours within the cutoff, sorted."""
    first, second, vectors = neighbor_list('ijD', atoms, CUTOFF)
    own = first == centre
    rows = np.column_stack([atoms.numbers[second[own]], np.round(vectors[own], 8)])
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize('seed', range(3))
def test_the_surroundings_of_the_atom_are_unchanged(seed):
    atoms = crystal(seed)
    centre = int(np.random.default_rng(seed).integers(len(atoms)))
    found = carve(atoms, centre, cutoff=CUTOFF, max_atoms=150)
    assert len(found.atoms) <= 150 < len(atoms)
    assert found.indices[found.centre] == centre
    np.testing.assert_array_equal(found.atoms.numbers, atoms.numbers[found.indices])
    np.testing.assert_allclose(environment(found.atoms, found.centre), environment(atoms, centre), atol=1e-7)


def test_a_crystal_is_cut_into_repeats_of_its_lattice():
    found = carve(crystal(), 7, cutoff=CUTOFF, max_atoms=200)
    np.testing.assert_allclose(found.atoms.cell.lengths() / 3.7, np.round(found.atoms.cell.lengths() / 3.7), atol=0.05)
    assert len(found.atoms) == 4 * round(found.atoms.cell.volume / 3.7**3)


def test_nothing_overlaps_across_the_boundary():
    found = carve(crystal(rattle=0.2), 11, cutoff=CUTOFF, max_atoms=200, min_bond=0.7)
    assert found.boundary >= 0.7
    atoms, short = crystal(rattle=0.2), []
    for structure, places in ((found.atoms, found.indices), (atoms, np.arange(len(atoms)))):
        first, second, distances = neighbor_list('ijd', structure, 2.0)
        radii = covalent_radii[structure.numbers]
        is_short = distances / (radii[first] + radii[second]) < 0.7
        short.append({(places[i], places[j]) for i, j in zip(first[is_short], second[is_short], strict=True)})
    assert short[0] <= short[1], 'every short bond was one in the large cell'


def test_a_skewed_cell_keeps_its_angles():
    atoms = bulk('Cu', a=3.7) * (9, 9, 9)
    atoms.positions += np.random.default_rng(2).normal(0, 0.1, atoms.positions.shape)
    found = carve(atoms, 3, cutoff=CUTOFF, max_atoms=250)
    np.testing.assert_allclose(found.atoms.cell.angles(), [60, 60, 60], atol=1e-8)
    np.testing.assert_allclose(environment(found.atoms, found.centre), environment(atoms, 3), atol=1e-7)


def test_a_thin_edge_is_kept_whole():
    atoms = crystal(size=(2, 7, 7))
    found = carve(atoms, 20, cutoff=CUTOFF, max_atoms=120)
    np.testing.assert_allclose(found.atoms.cell.array[0], atoms.cell.array[0])
    np.testing.assert_allclose(environment(found.atoms, found.centre), environment(atoms, 20), atol=1e-7)


def test_the_same_input_gives_the_same_cell():
    first, second = (carve(crystal(), 5, cutoff=CUTOFF, max_atoms=150) for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.atoms.positions, second.atoms.positions)


def test_neither_shifts_nor_lattice_vectors_matter():
    atoms = crystal()
    first = carve(atoms, 5, cutoff=CUTOFF, max_atoms=150)
    atoms.positions += [1.3, -0.4, 2.2]
    atoms.positions += np.random.default_rng(0).integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array
    second = carve(atoms, 5, cutoff=CUTOFF, max_atoms=150)
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_allclose(first.atoms.positions, second.atoms.positions, atol=1e-7)


@pytest.mark.lammps
def test_the_grade_of_the_atom_is_kept(tmp_path):
    from aiida_mlip_autopipe.common.frames import Frames  # noqa: PLC0415  # only this test runs LAMMPS
    from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames  # noqa: PLC0415
    from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod  # noqa: PLC0415

    frames = pod_data.training_frames(24)
    fit = fit_pod(frames, pod_data.REFERENCES, PodSettings(elements=pod_data.ELEMENTS, cutoff=CUTOFF), tmp_path)
    potential = pod_data.potential_of(fit, tmp_path)
    atoms = crystal(rattle=0.2)
    large = evaluate_frames(Frames.from_atoms([atoms]), potential)
    centre = int(large.gamma.argmax())
    found = carve(atoms, centre, cutoff=CUTOFF, max_atoms=150)
    small = evaluate_frames(Frames.from_atoms([found.atoms]), potential)
    assert small.gamma[found.centre] == pytest.approx(large.gamma[centre], rel=1e-6)


def test_too_few_atoms_are_refused():
    with pytest.raises(
        InputError, match=r'max_atoms: got 20; a cell that holds the sphere of 4.5 Å around an atom needs about 58'
    ):
        carve(crystal(), 0, cutoff=CUTOFF, max_atoms=20)


def test_overlaps_are_refused():
    """In a gas of hard spheres no translation fits, so that some atoms meet at every boundary."""
    rng, places = np.random.default_rng(1), np.zeros((0, 3))
    while len(places) < 900:
        place = rng.uniform(0, 22.0, 3)
        vectors = places - place
        vectors -= 22.0 * np.round(vectors / 22.0)
        if not len(places) or (vectors**2).sum(axis=1).min() > 1.9**2:
            places = np.vstack([places, place])
    atoms = Atoms('Cu900', places, cell=[22.0] * 3, pbc=True)
    with pytest.raises(InputError, match=r'none of \d+ cells of at most 150 atoms around atom 4 fits together at its boundary'):
        carve(atoms, 4, cutoff=CUTOFF, max_atoms=150)


@pytest.mark.parametrize('centre', [-1, 864])
def test_an_atom_that_does_not_exist_is_refused(centre):
    with pytest.raises(InputError, match=f'atom {centre} is none of the 864 atoms'):
        carve(crystal(), centre, cutoff=CUTOFF, max_atoms=150)


def test_a_molecule_is_refused():
    atoms = crystal()
    atoms.pbc = [True, True, False]
    with pytest.raises(InputError, match='not periodic in three directions'):
        carve(atoms, 0, cutoff=CUTOFF, max_atoms=150)
