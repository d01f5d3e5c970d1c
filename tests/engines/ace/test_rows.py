"""Rows of linear ACE: their sums are what pyace's own calculator gives."""

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace.basis import add_core, basis_configuration, functions_per_element
from aiida_mlip_autopipe.engines.ace.core import shortest_distances
from aiida_mlip_autopipe.engines.ace.files import POTENTIAL_YACE, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.rows import AceRows
from aiida_mlip_autopipe.science.checks.wall import wall_paths
from aiida_mlip_autopipe.science.linear.core import Zbl
from tests import ace_data, pod_data

pyace = pytest.importorskip('pyace')

EXACT = 1e-10
"""eV, eV/Å and eV/Å³, relative to the largest value."""

ELEMENTS = ('Mg', 'Al')
CUTOFF = 5.0


@pytest.fixture(scope='module')
def source():
    return AceRows(basis_configuration(ELEMENTS, 40, CUTOFF), ELEMENTS, with_one_body=False)


@pytest.fixture(scope='module')
def coefficients(source):
    return np.random.default_rng(1).normal(size=source.n_functions)


@pytest.fixture(scope='module')
def folder(source, coefficients, tmp_path_factory):
    place = tmp_path_factory.mktemp('rows')
    source.save(coefficients, place)
    return place


def of_pyace(atoms, path):
    copy = atoms.copy()
    copy.calc = pyace.PyACECalculator(str(path))
    return copy.get_potential_energy(), copy.get_forces(), copy.get_stress()


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize('size', [(1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 2, 1)])
@pytest.mark.parametrize('suffix', [POTENTIAL_YAML, POTENTIAL_YACE])
def test_rows_are_the_calculator_of_pyace_in_triclinic_cells(source, coefficients, folder, size, suffix):
    atoms = ace_data.alloy(size, seed=2)
    design = source.design(atoms)
    energy, forces, stress = of_pyace(atoms, folder / suffix)
    exactness = 1 if suffix == POTENTIAL_YAML else 1e4  # the fast form has tabulated radial functions of its own
    assert design.energy @ coefficients == pytest.approx(energy, rel=exactness * EXACT)
    for found, expected in ((design.forces @ coefficients, forces.ravel()), (design.stress @ coefficients, stress)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=exactness * EXACT * max(1.0, np.abs(expected).max()))


def test_asking_for_stress_changes_nothing_else(source):
    atoms = ace_data.alloy((2, 2, 1), seed=3)
    full, bare = source.design(atoms), source.design(atoms, with_stress=False)
    assert bare.stress is None
    np.testing.assert_array_equal(full.energy, bare.energy)
    np.testing.assert_array_equal(full.descriptors, bare.descriptors)
    assert_close(full.forces, bare.forces)


def test_stress_rows_are_the_strain_derivative_of_the_energy_row(source):
    atoms, step = ace_data.alloy((2, 2, 1), seed=4), 1e-4
    design = source.design(atoms)
    for row, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        rows = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += 0.5 * sign * step
            strain[j, i] += 0.5 * sign * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            rows.append(source.design(strained, with_stress=False).energy)
        expected = (rows[0] - rows[1]) / (2 * step) / atoms.cell.volume
        np.testing.assert_allclose(design.stress[row], expected, atol=1e-6 * np.abs(expected).max())


def test_force_rows_are_the_negative_gradient_of_the_energy_row(source):
    atoms, step = ace_data.alloy((2, 1, 1), seed=5), 1e-4
    design = source.design(atoms)
    for atom, axis in ((0, 0), (1, 2)):
        rows = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            rows.append(source.design(moved, with_stress=False).energy)
        gradient = (rows[0] - rows[1]) / (2 * step)
        np.testing.assert_allclose(design.forces[3 * atom + axis], -gradient, atol=1e-6 * np.abs(gradient).max())


def test_neither_shifts_nor_wrapping_nor_order_matter(source):
    atoms = ace_data.alloy((2, 2, 1), seed=6)
    order = np.random.default_rng(0).permutation(len(atoms))
    moved = atoms[order]
    moved.positions += [0.3, -4.0, 11.0]
    moved.positions += np.random.default_rng(1).integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array
    plain, other = source.design(atoms), source.design(moved)
    for name in ('energy', 'stress'):
        np.testing.assert_allclose(getattr(other, name), getattr(plain, name), atol=1e-9)
    np.testing.assert_allclose(other.descriptors, plain.descriptors[order], atol=1e-9)
    np.testing.assert_allclose(other.forces.reshape(len(atoms), 3, -1), plain.forces.reshape(len(atoms), 3, -1)[order], atol=1e-9)
    np.testing.assert_array_equal(other.types, plain.types[order])


def test_an_atom_alone_has_no_energy(source):
    design = source.design(Atoms('Mg', cell=[15.0] * 3, pbc=True))
    for rows in (design.energy, design.forces, design.stress, design.descriptors):
        assert not rows.any()


@pytest.mark.parametrize('element', ELEMENTS)
def test_an_element_that_a_frame_lacks_has_zeros(source, element):
    atoms = ace_data.alloy((2, 1, 1))
    atoms.symbols[:] = element
    design = source.design(atoms)
    own = source.columns_of(element)
    assert np.abs(design.energy[own]).max() > 0
    for rows in (design.energy[None, :], design.forces, design.stress):
        assert not np.delete(rows, np.arange(source.n_functions)[own], axis=1).any()


def test_columns_are_in_the_order_of_the_file_and_types_in_that_of_the_potential(source):
    assert [source.columns_of(element).start for element in ('Al', 'Mg')] == [0, source.per_element], 'sorted by name'
    atoms = ace_data.alloy((2, 1, 1))
    assert source.design(atoms).types.tolist() == [ELEMENTS.index(symbol) for symbol in atoms.symbols]


def test_the_energy_row_is_the_sum_of_the_descriptors(source):
    atoms = ace_data.alloy((2, 2, 1))
    design = source.design(atoms)
    for kind, element in enumerate(ELEMENTS):
        own = source.columns_of(element)
        found = design.descriptors[design.types == kind].sum(axis=0)
        np.testing.assert_allclose(design.energy[own], found, atol=1e-12)


def test_unequal_numbers_of_functions_are_refused():
    """The derivatives of pyace's evaluator lie at the wrong places then, without a word."""
    configuration = basis_configuration(ELEMENTS, 20, CUTOFF)
    block = next(block for block in configuration.funcspecs_blocks if block.block_name == 'Mg')
    block.funcspecs = block.funcspecs[:-2]
    with pytest.raises(InputError, match=r'the elements of the basis have \[20, 18\] functions; rows need the same number'):
        AceRows(configuration, ELEMENTS, with_one_body=False)


def test_the_roughness_of_each_function(source):
    """2^(rank - 1) times the sum of its indices, in the order of the columns."""
    found = AceRows(basis_configuration(ELEMENTS, 40, CUTOFF), ELEMENTS, with_one_body=True).roughness
    assert found.shape == (2 * source.per_element + 2,)
    assert found[-2:].tolist() == [1.0, 1.0]
    assert found.min() == 1.0
    al, mg = (found[source.columns_of(element)] for element in ('Al', 'Mg'))
    assert sorted(al) == sorted(mg), 'neither element is special'
    basis = pyace.ACEBBasisSet(basis_configuration(ELEMENTS, 40, CUTOFF))
    pairs = len(basis.basis_rank1[0])
    np.testing.assert_array_equal(al[:pairs], [function.ns[0] for function in basis.basis_rank1[0]])
    first = basis.basis[0][0]
    assert al[pairs] == 2 ** (first.rank - 1) * (sum(first.ns) + sum(first.ls)) > 1


class TestOneBody:
    def test_columns_count_the_atoms_of_each_element(self, source):
        free = AceRows(basis_configuration(ELEMENTS, 40, CUTOFF), ELEMENTS, with_one_body=True)
        atoms = ace_data.alloy((3, 1, 1))
        atoms.symbols[:] = ['Al', 'Mg', 'Mg']
        plain, design = source.design(atoms), free.design(atoms)
        assert free.one_body.tolist() == [source.n_functions, source.n_functions + 1]
        assert design.energy[free.one_body].tolist() == [2.0, 1.0], 'in the order of the potential'
        for name in ('energy', 'forces', 'stress'):
            found = getattr(design, name)
            np.testing.assert_array_equal(found[..., : source.n_functions], getattr(plain, name))
        assert not design.forces[:, free.one_body].any()
        assert not design.stress[:, free.one_body].any()

    def test_none_where_it_is_fixed(self, source):
        assert len(source.one_body) == 0


class TestFile:
    def test_rows_of_a_file_are_those_of_its_basis(self, source, folder):
        again = AceRows.of_file(folder / POTENTIAL_YAML, ELEMENTS)
        atoms = ace_data.alloy((2, 1, 1))
        np.testing.assert_allclose(again.design(atoms).energy, source.design(atoms).energy, rtol=1e-12)
        assert again.per_element == source.per_element == 40

    def test_the_file_holds_the_coefficients(self, coefficients, folder):
        basis = pyace.ACEBBasisSet(str(folder / POTENTIAL_YAML))
        np.testing.assert_allclose(basis.basis_coeffs, coefficients, rtol=1e-12)
        assert functions_per_element(basis).sum() == len(coefficients)

    def test_saving_leaves_the_rows_as_they_are(self, source, coefficients, tmp_path):
        atoms = ace_data.alloy((2, 1, 1))
        before = source.design(atoms).energy
        source.save(coefficients, tmp_path)
        np.testing.assert_array_equal(source.design(atoms).energy, before)

    @pytest.mark.parametrize('content', ['', 'hello: 1\n', '- 1\n'])
    def test_another_file(self, tmp_path, content):
        (tmp_path / POTENTIAL_YAML).write_text(content)
        with pytest.raises(FormatError, match=f'{POTENTIAL_YAML}: not a potential in the B-basis'):
            AceRows.of_file(tmp_path / POTENTIAL_YAML, ELEMENTS)

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FormatError, match='not a potential in the B-basis'):
            AceRows.of_file(tmp_path / POTENTIAL_YAML, ELEMENTS)


class TestRefused:
    def test_an_unknown_element(self, source):
        with pytest.raises(InputError, match='Zn'):
            source.design(Atoms('Zn2', [[0, 0, 0], [2.5, 0, 0]], cell=[9.0] * 3, pbc=True))

    def test_a_structure_that_is_not_periodic(self, source):
        atoms = ace_data.alloy((2, 1, 1))
        atoms.pbc = [True, True, False]
        with pytest.raises(InputError, match='periodic'):
            source.design(atoms)


def test_the_core_is_the_full_zbl_energy_deep_inside():
    """Two atoms below 0.5 of their shortest distance repel each other as ZBL says, whatever the coefficients are."""
    frames = pod_data.training_frames(10)
    configuration = basis_configuration(pod_data.ELEMENTS, 20, pod_data.CUTOFF)
    add_core(configuration, shortest_distances(frames, pod_data.ELEMENTS, pod_data.CUTOFF))
    source = AceRows(configuration, pod_data.ELEMENTS, with_one_body=False)
    for path in wall_paths(frames, pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, depth=0.3, n_points=15):
        energies = source.core_energies(path)
        far, deep = path.distances > 0.81 * path.distances[0], path.distances < 0.49 * path.distances[0]
        np.testing.assert_allclose(energies[far], energies[0], atol=1e-12)
        found, zbl = energies[deep], Zbl(*path.pair).energy(path.distances[deep])
        np.testing.assert_allclose(np.diff(found), np.diff(zbl), rtol=0.02)
        assert (np.diff(energies[~far]) > 0).all()


def test_no_core_no_energy():
    source = AceRows(basis_configuration(pod_data.ELEMENTS, 20, pod_data.CUTOFF), pod_data.ELEMENTS, with_one_body=False)
    frames = Frames.from_atoms([pod_data.alloy(np.random.default_rng(0))])
    (path, *_) = wall_paths(frames, pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, depth=0.5, n_points=4)
    assert not source.core_energies(path).any()
