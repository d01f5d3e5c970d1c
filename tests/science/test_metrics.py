"""Errors against labels: known answers, unlabelled frames left out, invariances and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.metrics import LabelErrors, label_errors


def frame(n_atoms, seed, *, labelled=True, stress=True):
    rng = np.random.default_rng(seed)
    atoms = bulk('Al') * (n_atoms, 1, 1)
    if labelled:
        results = {'energy': rng.normal(), 'forces': rng.normal(size=(n_atoms, 3))}
        atoms.calc = SinglePointCalculator(atoms, **results, **({'stress': rng.normal(size=6)} if stress else {}))
    return atoms


@pytest.fixture
def frames():
    return Frames.from_atoms([frame(1, 0), frame(4, 1, labelled=False), frame(2, 2, stress=False), frame(3, 3)])


def test_perfect_prediction(frames):
    errors = label_errors(frames, frames.energy, frames.forces, frames.stress)
    assert errors == LabelErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3)


def test_energy_is_per_atom(frames):
    errors = label_errors(frames, frames.energy + np.array([0.1, 99.0, -0.4, 0.9]), frames.forces, None)
    assert errors.energy_mae == pytest.approx((0.1 + 0.2 + 0.3) / 3)
    assert errors.energy_rmse == pytest.approx(np.sqrt((0.01 + 0.04 + 0.09) / 3))


def test_forces_are_per_component(frames):
    forces = frames.forces.copy()
    forces[0, 0] += 3.0
    forces[1:5] += 50.0  # the frame without a label
    forces[9, 2] -= 4.0
    errors = label_errors(frames, frames.energy, forces, None)
    assert errors.force_rmse == pytest.approx(5.0 / np.sqrt(18))
    assert errors.force_mae == pytest.approx(7.0 / 18)
    assert errors.force_max == pytest.approx(4.0)


def test_stress_of_frames_that_have_one(frames):
    stress = frames.stress.copy()
    stress[:, 1] += [0.3, 9.0, 9.0, 0.4]
    errors = label_errors(frames, frames.energy, frames.forces, stress)
    assert errors.stress_rmse == pytest.approx(0.5 / np.sqrt(12))


def test_no_stress_no_error(frames):
    assert label_errors(frames, frames.energy, frames.forces, None).stress_rmse is None
    bare = frames.take([2])
    assert label_errors(bare, bare.energy, bare.forces, bare.stress).stress_rmse is None


def test_agrees_with_a_loop(frames):
    rng = np.random.default_rng(5)
    energy, forces = rng.normal(size=4), rng.normal(size=frames.forces.shape)
    errors = label_errors(frames, energy, forces, None)
    squares, components = [], []
    for index, atoms in enumerate(frames):
        if atoms.calc is not None:
            squares.append(((energy[index] - atoms.get_potential_energy()) / len(atoms)) ** 2)
            components += list((forces[frames.rows(index)] - atoms.get_forces()).ravel())
    assert errors.energy_rmse == pytest.approx(np.sqrt(np.mean(squares)))
    assert errors.force_rmse == pytest.approx(np.sqrt(np.mean(np.square(components))))
    assert errors.force_mae == pytest.approx(np.mean(np.abs(components)))


def test_order_of_frames_does_not_matter(frames):
    rng = np.random.default_rng(6)
    energy, forces = rng.normal(size=4), rng.normal(size=frames.forces.shape)
    order = [3, 0, 2, 1]
    rows = np.concatenate([np.arange(len(forces))[frames.rows(i)] for i in order])
    one = label_errors(frames, energy, forces, None)
    other = label_errors(frames.take(order), energy[order], forces[rows], None)
    assert other.energy_rmse == pytest.approx(one.energy_rmse)
    assert other.force_rmse == pytest.approx(one.force_rmse)
    assert other.n_frames == one.n_frames


def test_no_labels():
    frames = Frames.from_atoms([frame(2, 0, labelled=False)])
    with pytest.raises(InputError, match='none of 1 frames is labelled'):
        label_errors(frames, [0.0], np.zeros((2, 3)), None)
    with pytest.raises(InputError, match='none of 0 frames'):
        label_errors(Frames.from_atoms([]), [], np.zeros((0, 3)), None)


def test_shapes_that_do_not_fit(frames):
    with pytest.raises(InputError, match=r'energy has the shape \(2,\), expected \(4,\)'):
        label_errors(frames, [0.0, 0.0], frames.forces, None)
    with pytest.raises(InputError, match='forces has the shape'):
        label_errors(frames, frames.energy, frames.forces[:2], None)
    with pytest.raises(InputError, match='stress has the shape'):
        label_errors(frames, frames.energy, frames.forces, np.zeros((4, 3, 3)))


def test_prediction_that_is_not_finite(frames):
    forces = frames.forces.copy()
    forces[3, 1] = np.nan
    with pytest.raises(InputError, match='forces is not finite in row 3'):
        label_errors(frames, frames.energy, forces, None)
