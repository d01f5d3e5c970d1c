import numpy as np
import pytest

from aiida_mlip_autopipe.science.checks.stress import numerical_stress, strained_cells, stress_finding
from tests import pod_data

STRAIN = 1e-4
EXACT = 1e-6
"""eV/Å³, error of the central differences for EMT."""


@pytest.fixture(scope='module')
def frames():
    return pod_data.training_frames(3)


@pytest.fixture(scope='module')
def derivative(frames):
    energies = [pod_data.labelled(atoms).get_potential_energy() for atoms in strained_cells(frames, STRAIN)]
    return numerical_stress(frames, np.array(energies), STRAIN)


def test_the_derivative_of_the_energy_is_the_stress_of_another_code(frames, derivative):
    np.testing.assert_allclose(derivative, frames.stress, atol=EXACT)


def test_strained_cells_keep_their_frames(frames):
    cells = strained_cells(frames, STRAIN)
    assert len(cells) == 12 * len(frames)  # six strains, each in both directions
    for index, atoms in enumerate(cells):
        original = frames.atoms(index // 12)
        assert atoms.get_chemical_symbols() == original.get_chemical_symbols()
        np.testing.assert_allclose(atoms.get_scaled_positions(wrap=False), original.get_scaled_positions(wrap=False), atol=1e-12)
        assert 0 < np.abs(atoms.cell.array - original.cell.array).max() < 1e-2


def test_the_two_steps_cancel(frames):
    cells = strained_cells(frames, STRAIN)
    mean = (cells[6].cell.array + cells[7].cell.array) / 2
    np.testing.assert_allclose(mean, frames.cells[0], atol=1e-12)


def test_a_right_stress_passes(frames, derivative):
    found = stress_finding(frames.stress, derivative, limit=1e-5)
    assert (found.check, found.passed, found.unit) == ('stress_derivative', True, 'eV/Å³')
    assert found.value < EXACT


@pytest.mark.parametrize('wrong', [-1.0, 0.99, np.nan])
def test_a_wrong_sign_or_factor_fails(frames, derivative, wrong):
    found = stress_finding(wrong * frames.stress, derivative, limit=1e-5)
    assert found.passed is False
    assert 'differs from the numerical derivative of the energy' in found.message


def test_swapped_shear_components_fail(frames, derivative):
    assert stress_finding(frames.stress[:, [0, 1, 2, 5, 4, 3]], derivative, limit=1e-5).passed is False
