import re

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsSystem
from aiida_mlip_autopipe.engines.pod.descriptors import ROUGHER, PodDescriptors, pod_features
from aiida_mlip_autopipe.engines.pod.files import PARAMETERS, coefficient_text, pair_lines, parameter_text
from aiida_mlip_autopipe.science.checks.wall import wall_paths
from aiida_mlip_autopipe.science.linear.core import core_paths
from tests import pod_data
from tests.pod_data import CUTOFF, ELEMENTS, alloy

pytestmark = pytest.mark.lammps

N_COEFFICIENTS = {'S': 122, 'M': 474}


@pytest.fixture
def atoms():
    return alloy(np.random.default_rng(1))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / 'param.pod'
    path.write_text(parameter_text(ELEMENTS, 'S', CUTOFF))
    with PodDescriptors(ELEMENTS, path) as descriptors:
        yield descriptors


@pytest.mark.parametrize('basis', ['S', 'M'])
def test_rows_equal_pair_style_pod(basis, atoms, tmp_path):
    coefficients = np.random.default_rng(2).normal(size=N_COEFFICIENTS[basis])
    (tmp_path / 'param.pod').write_text(parameter_text(ELEMENTS, basis, CUTOFF))
    (tmp_path / 'model.pod').write_text(coefficient_text(coefficients))
    with PodDescriptors(ELEMENTS, tmp_path / 'param.pod') as source:
        design = source.design(atoms)
    with LammpsSystem(ELEMENTS) as system:
        system.load(atoms, pair_lines(ELEMENTS, None, str(tmp_path)))
        prediction = system.predict()
    scale = np.abs(prediction.forces).max()
    assert design.energy @ coefficients == pytest.approx(prediction.energy, rel=1e-9)
    np.testing.assert_allclose(design.forces @ coefficients, prediction.forces.ravel(), atol=1e-9 * scale)
    np.testing.assert_allclose(design.stress @ coefficients, prediction.stress, atol=1e-6 * np.abs(prediction.stress).max())


def test_force_rows_are_the_negative_gradient_of_the_energy_row(source, atoms):
    design, step = source.design(atoms), 1e-5
    for atom, axis in ((0, 0), (3, 1), (7, 2)):
        rows = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            rows.append(source.design(moved, with_stress=False).energy)
        gradient = (rows[0] - rows[1]) / (2 * step)
        np.testing.assert_allclose(design.forces[3 * atom + axis], -gradient, atol=1e-6 * np.abs(gradient).max())


def test_stress_rows_are_the_strain_derivative_of_the_energy_row(source, atoms):
    design, step = source.design(atoms), 1e-4
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


def test_descriptors_do_not_feel_rotation_translation_and_wrapping(source, atoms):
    plain, _ = source.per_atom(atoms)
    turned = atoms.copy()
    turned.rotate(37.0, (1.0, 2.0, -0.5), rotate_cell=True)
    shifted = atoms.copy()
    shifted.positions += [0.3, -0.2, 11.0]
    unwrapped = atoms.copy()
    unwrapped.positions += np.random.default_rng(3).integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array
    for changed in (turned, shifted, unwrapped):
        np.testing.assert_allclose(source.per_atom(changed)[0], plain, atol=1e-8)


def test_forces_turn_with_the_structure(source, atoms):
    turned = atoms.copy()
    turned.rotate(37.0, (1.0, 2.0, -0.5), rotate_cell=True)
    rotation = np.linalg.solve(atoms.cell.array, turned.cell.array)
    plain = source.design(atoms).forces.reshape(len(atoms), 3, -1)
    expected = np.einsum('nik,ij->njk', plain, rotation)
    np.testing.assert_allclose(source.design(turned).forces.reshape(expected.shape), expected, atol=1e-8)


def test_descriptors_follow_a_permutation_of_the_atoms(source, atoms):
    order = np.random.default_rng(4).permutation(len(atoms))
    plain, types = source.per_atom(atoms)
    permuted, permuted_types = source.per_atom(atoms[order])
    np.testing.assert_allclose(permuted, plain[order], atol=1e-9)
    np.testing.assert_array_equal(permuted_types, types[order])


def test_stress_rows_where_the_number_of_bins_changes_within_the_strain(tmp_path):
    """A bug that was: there LAMMPS counted neighbours by the bins of the strain before (3.59 Å), and the rows were off by 1e7."""
    path = tmp_path / 'param.pod'
    path.write_text(parameter_text(ELEMENTS, 'S', CUTOFF))
    largest = []
    with PodDescriptors(ELEMENTS, path) as source:
        for a in (3.589, 3.59, 3.591):
            atoms = bulk('Cu', a=a).repeat((3, 3, 4))
            atoms.rattle(0.01, seed=1)
            largest.append(np.abs(source.design(atoms).stress).max())
    assert largest[1] == pytest.approx((largest[0] + largest[2]) / 2, rel=0.01)


def test_types_follow_the_order_of_the_elements(source):
    assert source.per_atom(bulk('Au', cubic=True))[1].tolist() == [1, 1, 1, 1]


def test_elements_in_another_order_than_the_file_are_refused(tmp_path):
    path = tmp_path / 'param.pod'
    path.write_text(parameter_text(ELEMENTS, 'S', CUTOFF))
    with pytest.raises(InputError, match='in this order'):
        PodDescriptors(ELEMENTS[::-1], path)


def test_an_unknown_element_is_refused(source):
    with pytest.raises(InputError, match='Ag'):
        source.per_atom(bulk('Ag'))


def test_a_structure_that_is_not_periodic_is_refused(source, atoms):
    atoms.pbc = False
    with pytest.raises(InputError, match='periodic'):
        source.per_atom(atoms)


def test_features_have_zeros_for_an_element_that_is_absent(atoms):
    frames = Frames.from_atoms([bulk('Cu', cubic=True), bulk('Au'), atoms])
    found = pod_features(frames, elements=ELEMENTS, cutoff=CUTOFF)
    assert found.shape == (3, 240)
    copper, gold = np.split(found, 2, axis=1)
    assert not gold[0].any()
    assert not copper[1].any()
    assert copper[2].any()
    assert gold[2].any()
    np.testing.assert_allclose(copper[0, 60:], 0.0, atol=1e-9)  # all atoms of a perfect crystal are alike


def test_features_of_no_frames():
    assert pod_features(Frames.from_atoms([]), elements=ELEMENTS, cutoff=CUTOFF).shape[0] == 0


@pytest.mark.parametrize('basis', ['S', 'M', 'L'])
@pytest.mark.parametrize('elements', [('Cu',), ('Cu', 'Au'), ('Cu', 'Au', 'Al')])
def test_rougher_functions_are_those_that_lammps_counts(basis, elements, tmp_path):
    """LAMMPS prints how many descriptors each body order has; they stand in this order."""
    path = tmp_path / 'param.pod'
    path.write_text(parameter_text(elements, basis, CUTOFF))
    with LammpsSystem(elements, log=tmp_path / 'log') as system:
        system.load(bulk('Cu', cubic=True), ['pair_style zero 5.0', 'pair_coeff * *'])
        system.command(f'compute own all pod/atom {path} "" {" ".join(elements)}')
    told = re.findall(r'per element for (?:one|two|three|four|five)-body potential: (\d+)', (tmp_path / 'log').read_text())
    expected = np.repeat([1.0, 1.0, ROUGHER, ROUGHER**2, ROUGHER**3], [int(count) for count in told])
    with PodDescriptors(elements, path) as source:
        source.design(bulk('Cu', cubic=True).repeat(2), with_stress=False)
        np.testing.assert_array_equal(source.roughness, np.tile(expected, len(elements)))


@pytest.mark.lammps
def test_rows_and_overlay_are_what_lammps_makes_of_them(fitted):
    """The fit judges its walls without LAMMPS: the numbers must be the same."""
    folder = fitted.potential.active_set.parent
    with PodDescriptors(pod_data.ELEMENTS, folder / PARAMETERS, core=fitted.fit.core) as source:
        paths = core_paths(fitted.frames, pod_data.ELEMENTS, source)
    walls = wall_paths(fitted.frames, pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, depth=0.5, n_points=11)
    for path, wall in zip(paths, walls, strict=True):
        energies = evaluate_frames(Frames.from_atoms(wall.structures), fitted.potential).energy
        own = path.rows @ fitted.fit.coefficients + path.overlay
        np.testing.assert_allclose(own - own[0], energies - energies[0], rtol=1e-4, atol=1e-4)
