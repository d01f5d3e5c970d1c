"""MACE in batches: equal to `MACECalculator` one by one, whatever the batches, and invariant."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.errors import UnknownElementError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.mace.mace import Predictions, evaluate
from aiida_mlip_autopipe.engines.mace.model import quiet

SAME = 1e-6
"""eV, eV/Å, eV/Å³ and units of the descriptors."""


@pytest.fixture(scope='module')
def one_by_one(model_file, almg):
    with quiet():
        from mace.calculators import MACECalculator  # noqa: PLC0415  # takes seconds, and may be missing

        calculator = MACECalculator(model_paths=str(model_file), device='cpu', default_dtype='float64')
    parts = []
    for frame in almg:
        atoms = frame.copy()
        atoms.calc = calculator
        parts.append(
            Predictions(
                np.array([atoms.get_potential_energy()]),
                atoms.get_forces(),
                atoms.get_stress()[None],
                calculator.get_descriptors(atoms),
            )
        )
    return Predictions.concatenate(parts)


@pytest.mark.parametrize('max_edges', [1, 1500, 10**6])
def test_equal_to_the_calculator_one_by_one(double, almg, one_by_one, max_edges):
    found = evaluate(double, almg, max_edges=max_edges)
    for name in ('energies', 'forces', 'stresses', 'descriptors'):
        np.testing.assert_allclose(getattr(found, name), getattr(one_by_one, name), rtol=0, atol=SAME)


def test_frames_and_atoms_give_the_same(double, almg):
    from_atoms, from_frames = (evaluate(double, part) for part in (almg, Frames.from_atoms(almg)))
    np.testing.assert_allclose(from_atoms.forces, from_frames.forces, rtol=0, atol=1e-9)


def test_a_molecule_without_a_cell(double, one_by_one, model_file):
    from mace.calculators import MACECalculator  # noqa: PLC0415  # takes seconds, and may be missing

    atoms = Atoms('AlMg', [[0, 0, 0], [0, 0, 2.9]])
    found = evaluate(double, [atoms])
    with quiet():
        atoms.calc = MACECalculator(model_paths=str(model_file), device='cpu', default_dtype='float64')
    np.testing.assert_allclose(found.energies, [atoms.get_potential_energy()], atol=SAME)
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=SAME)


def test_forces_are_the_slope_of_the_energy(double, almg):
    atoms, step = almg[4].copy(), 1e-4
    moved = [atoms.copy(), atoms.copy()]
    moved[0].positions[3, 1] += step
    moved[1].positions[3, 1] -= step
    up, down = evaluate(double, moved).energies
    assert -(up - down) / (2 * step) == pytest.approx(evaluate(double, [atoms]).forces[3, 1], abs=1e-5)


def test_rotation_and_permutation(double, almg):
    atoms = almg[5].copy()
    order = np.random.default_rng(0).permutation(len(atoms))
    turned = atoms[order]
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    first, second = evaluate(double, [atoms]), evaluate(double, [turned])
    np.testing.assert_allclose(second.energies, first.energies, atol=SAME)
    np.testing.assert_allclose(second.descriptors, first.descriptors[order], atol=SAME)
    np.testing.assert_allclose(np.linalg.norm(second.forces, axis=1), np.linalg.norm(first.forces[order], axis=1), atol=SAME)


def test_the_model_has_learned_its_labels(double, almg):
    fcc = [frame for frame in almg if len(frame) < 16]
    found = evaluate(double, fcc)
    forces = np.concatenate([frame.get_forces() for frame in fcc])
    assert np.sqrt(((found.forces - forces) ** 2).mean()) < 0.3 * np.sqrt((forces**2).mean())


def test_no_structure(double):
    found = evaluate(double, [])
    assert found.energies.shape == (0,)
    assert found.forces.shape == (0, 3)


def test_unknown_element(double):
    with pytest.raises(UnknownElementError, match=r"\['Cu'\], which the model does not know; it knows \['Mg', 'Al'\]"):
        evaluate(double, [Atoms('AlCu', [[0, 0, 0], [0, 0, 2.5]])])
