"""Errors against labels: known answers, unlabelled frames left out, invariances and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.metrics import FEW, LabelErrors, caution, group_errors, label_errors


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
    labels = errors.label_force, errors.label_energy
    assert errors == LabelErrors(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3, *labels)


def test_what_there_is_to_predict():
    """Forces by their root mean square, energies about the mean of their composition."""
    structures = [Atoms('Cu'), Atoms('Cu'), Atoms('Cu2', positions=[[0, 0, 0], [0, 0, 2]]), Atoms('Au')]
    for atoms, energy in zip(structures, (1.0, 3.0, 4.0, 100.0), strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.full((len(atoms), 3), 0.5))
    frames = Frames.from_atoms(structures)
    errors = label_errors(frames, frames.energy, frames.forces, None)
    assert errors.label_force == pytest.approx(0.5)
    assert errors.label_energy == pytest.approx(np.sqrt((1.0 + 1.0 + 0.0 + 0.0) / 4))


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


class TestGroups:
    """Errors by group, with intervals from resampled lineages."""

    N_ATOMS = 4

    def labelled(self, lineages):
        frames = []
        for seed, lineage in enumerate(lineages):
            atoms = frame(self.N_ATOMS, seed)
            atoms.info['lineage'] = lineage
            frames.append(atoms)
        return Frames.from_atoms(frames)

    def found(self, frames, errors, groups, seed=0):
        """Return the errors of predictions that miss by `errors` eV/atom and eV/Å, one for each frame."""
        forces = frames.forces + np.repeat(errors, frames.counts)[:, None]
        return group_errors(frames, frames.energy + np.asarray(errors) * frames.counts, forces, groups=groups, seed=seed)

    def test_each_group_has_the_errors_of_its_frames(self):
        frames, errors = self.labelled(['a', 'a', 'b', 'c']), [1.0, 2.0, 3.0, 4.0]
        found = self.found(frames, errors, ['x', 'y', 'x', 'y'])
        assert list(found) == ['x', 'y']
        assert found['x'].energy_rmse == pytest.approx(np.sqrt(5.0))
        assert found['y'].force_rmse == pytest.approx(np.sqrt(10.0))
        assert (found['x'].n_frames, found['x'].n_lineages) == (2, 2)

    def test_the_whole_is_what_label_errors_says(self):
        frames = self.labelled(['a', 'a', 'b'])
        energy, forces = frames.energy + np.array([1.0, -2.0, 0.5]), frames.forces * 1.3
        whole = group_errors(frames, energy, forces, groups=['all'] * 3, seed=0)['all']
        expected = label_errors(frames, energy, forces, None)
        assert whole.energy_rmse == pytest.approx(expected.energy_rmse)
        assert whole.force_rmse == pytest.approx(expected.force_rmse)

    def test_percentiles_of_two_lineages_by_hand(self):
        """Both twice with a chance of a quarter each, else one of each: 5 % and 95 % are the lineages themselves."""
        found = self.found(self.labelled(['a', 'b']), [1.0, 3.0], ['all'] * 2)['all']
        assert found.energy_interval == pytest.approx((1.0, 3.0))
        assert found.force_interval == pytest.approx((1.0, 3.0))

    def test_frames_of_one_lineage_tell_no_more_than_one(self):
        errors = np.random.default_rng(0).uniform(0.5, 2.0, 6)
        six = self.found(self.labelled(list('abcdef')), errors, ['all'] * 6)['all']
        repeated = self.found(self.labelled(list('abcdef') * 4), np.tile(errors, 4), ['all'] * 24)['all']
        independent = self.found(self.labelled([f'{i}' for i in range(24)]), np.tile(errors, 4), ['all'] * 24)['all']
        assert repeated.force_interval == pytest.approx(six.force_interval)
        assert np.ptp(independent.force_interval) < 0.7 * np.ptp(six.force_interval)

    def test_of_a_single_lineage_frames_are_resampled(self):
        found = self.found(self.labelled(['a', 'a']), [1.0, 3.0], ['all'] * 2)['all']
        assert found.energy_interval == pytest.approx((1.0, 3.0))
        assert found.n_lineages == 1

    def test_a_single_frame_has_no_interval(self):
        found = self.found(self.labelled(['a']), [1.0], ['all'])['all']
        assert found.energy_interval is found.force_interval is None

    def test_nine_of_ten_intervals_hold_the_true_error(self):
        """Of 40 independent lineages whose errors are normal with deviation 1; 90 % less what a bootstrap of 40 loses."""
        frames, held, rng = self.labelled([f'{i}' for i in range(40)]), 0, np.random.default_rng(1)
        for _ in range(200):
            low, high = self.found(frames, rng.normal(size=40), ['all'] * 40)['all'].energy_interval
            held += low <= 1.0 <= high
        assert 0.8 < held / 200 < 0.95

    def test_the_seed_decides(self):
        frames, errors = self.labelled(list('abcdefgh')), np.arange(8) + 1.0
        same = [self.found(frames, errors, ['all'] * 8, seed=seed)['all'] for seed in (3, 3, 4)]
        assert same[0] == same[1]
        assert same[0].energy_interval != same[2].energy_interval

    def test_unlabelled_frames_do_not_count(self):
        frames = Frames.from_atoms([frame(2, 0), frame(2, 1, labelled=False)])
        found = group_errors(frames, frames.energy + 1.0, frames.forces, groups=['x', 'y'], seed=0)
        assert list(found) == ['x']

    def test_groups_must_fit(self, frames):
        with pytest.raises(InputError, match='there are 1 groups for 4 frames'):
            group_errors(frames, frames.energy, frames.forces, groups=['x'], seed=0)


@pytest.mark.parametrize(
    ('n_frames', 'said'),
    [
        (1, 'the test set has 1 frame, fewer than 20: its error is a guess'),
        (FEW - 1, 'the test set has 19 frames, fewer than 20: its error is a guess'),
        (FEW, ''),
    ],
)
def test_caution(n_frames, said):
    assert caution(n_frames) == said
