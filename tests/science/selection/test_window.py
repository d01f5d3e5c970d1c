"""The window of energy, force and volume: each reason, the convex hull against known answers, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.spatial import ConvexHull

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.selection.window import Window, above_hull, compositions, window_reasons


def test_one_composition_has_its_lowest_energy_as_hull():
    np.testing.assert_allclose(above_hull(np.ones((3, 1)), np.array([-3.0, -2.5, -3.2])), [0.2, 0.7, 0.0])


def test_a_mixture_of_others_is_the_hull_between_them():
    fractions = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.25, 0.75]])
    energies = np.array([-2.0, -1.0, -4.0, -3.9])
    between = -2.0 / 3 + 2 * -3.9 / 3  # the point at 0.25 lies below the line of the elements
    np.testing.assert_allclose(above_hull(fractions, energies), [0.0, -1.0 - between, 0.0, 0.0], atol=1e-9)


def test_binary_hull_agrees_with_qhull():
    rng = np.random.default_rng(0)
    x = np.concatenate([[0.0, 1.0], rng.choice(np.linspace(0, 1, 9), 60)])
    energies = rng.normal(size=62)
    corners = ConvexHull(np.stack([x, energies], axis=1)).equations
    lower = corners[corners[:, 1] < -1e-12]
    hull = np.max([-(a * x + c) / b for a, b, c in lower], axis=0)
    np.testing.assert_allclose(above_hull(np.stack([x, 1 - x], axis=1), energies), energies - hull, atol=1e-9)


def test_shift_by_reference_energies_changes_nothing():
    rng = np.random.default_rng(1)
    fractions = rng.dirichlet(np.ones(3), 40)
    energies = rng.normal(size=40)
    shifted = energies + fractions @ np.array([-5e4, 3.0, -700.0])
    np.testing.assert_allclose(above_hull(fractions, shifted), above_hull(fractions, energies), atol=1e-6)


def test_compositions():
    frames = Frames.from_atoms([Atoms('Al3Mg'), Atoms('Mg')])
    np.testing.assert_allclose(compositions(frames, ['Al', 'Mg']), [[0.75, 0.25], [0.0, 1.0]])


def crystals(*lattice):
    return Frames.from_atoms([bulk('Al', 'fcc', a=a, cubic=True) for a in lattice])


def test_each_reason_and_their_order():
    frames = crystals(4.0, 4.0, 4.0, 4.0, 5.0, 3.0, 4.0)
    energies = 4 * np.array([-3.0, np.nan, -1.0, -1.5, -2.9, -2.9, -2.9])
    forces = np.array([1.0, 1.0, 60.0, 1.0, 1.0, 1.0, np.inf])
    found = window_reasons(frames, Window(force_cap=50.0, energy=1.0, volume=(10.0, 25.0)), energies, forces)
    assert found == ['', 'not_finite', 'force_cap', 'energy_window', 'volume_window', 'volume_window', 'not_finite']


def test_without_a_surrogate_only_the_volume_counts():
    window = Window(force_cap=1e-3, energy=1e-3, volume=(10.0, 25.0))
    assert window_reasons(crystals(4.0, 5.0), window, None, None) == ['', 'volume_window']
    assert window_reasons(crystals(4.0, 5.0), Window(), None, None) == ['', '']


def test_a_molecule_has_no_volume():
    frames = Frames.from_atoms([Atoms('Al2', [[0, 0, 0], [0, 0, 2.7]])])
    assert window_reasons(frames, Window(volume=(10.0, 25.0)), None, None) == ['']


def test_no_frame_is_finite():
    assert window_reasons(crystals(4.0), Window(energy=1.0), np.array([np.nan]), np.array([0.0])) == ['not_finite']


@pytest.mark.parametrize(
    ('wrong', 'text'),
    [
        ({'force_cap': 0.0}, 'force_cap: got 0.0'),
        ({'energy': -1.0}, 'energy: got -1.0'),
        ({'volume': (3.0, 2.0)}, r'volume: got \(3.0, 2.0\)'),
        ({'volume': (-1.0, 2.0)}, 'volume'),
    ],
)
def test_refusals(wrong, text):
    with pytest.raises(InputError, match=text):
        Window(**wrong)
