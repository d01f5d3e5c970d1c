import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.science.uncertainty.active_set import EPSILON, ActiveSet


@pytest.fixture
def training():
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 6)), np.repeat([0, 1], 200)


def test_training_atoms_stay_within_the_tolerance(training):
    active = ActiveSet.fit(*training)
    assert active.grade(*training).max() <= 1.01 + 1e-9
    assert all(element.converged and element.n_artificial == 0 for element in active.elements.values())


def test_atoms_in_the_set_are_rows_of_their_element(training):
    descriptors, types = training
    active = ActiveSet.fit(descriptors, types)
    for kind, element in active.elements.items():
        assert (types[element.atoms] == kind).all()
        assert len(element.atoms) == descriptors.shape[1] + 1
        np.testing.assert_allclose(active.grade(descriptors[element.atoms], types[element.atoms]), 1.0, atol=1e-9)


def test_grade_grows_with_the_distance(training):
    active = ActiveSet.fit(*training)
    grades = [active.grade(np.full((1, 6), value), np.array([0]))[0] for value in (0.0, 3.0, 10.0, 100.0)]
    assert grades == sorted(grades)
    assert grades[0] < 1
    assert grades[-1] > 10


def test_a_direction_without_training_atoms_is_seen(training):
    descriptors, types = training
    flat = descriptors.copy()
    flat[:, 3] = 0.0
    active = ActiveSet.fit(flat, types)
    assert active.elements[0].n_artificial == 1
    outside = np.zeros((1, 6))
    outside[0, 3] = 1.0
    assert active.grade(outside, np.array([0]))[0] == pytest.approx(1 / EPSILON, rel=0.2)
    assert active.grade(flat, types).max() <= 1.01 + 1e-6


def test_fewer_atoms_than_descriptors_do_not_hide_the_unknown():
    rng = np.random.default_rng(1)
    known = rng.normal(size=(3, 20))
    active = ActiveSet.fit(known, np.zeros(3, dtype=int))
    assert active.grade(known, np.zeros(3, dtype=int)).max() <= 1.02
    assert active.grade(rng.normal(size=(1, 20)), np.array([0]))[0] > 100


def test_an_element_without_training_atoms_is_infinitely_far(training):
    active = ActiveSet.fit(*training)
    grades = active.grade(np.zeros((2, 6)), np.array([0, 2]))
    assert np.isfinite(grades[0])
    assert np.isinf(grades[1])


def test_grade_does_not_depend_on_the_scale_of_a_descriptor(training):
    descriptors, types = training
    scale = np.array([1e-4, 1.0, 1e3, 10.0, 0.1, 7.0])
    probes = np.random.default_rng(3).normal(size=(50, 6)) * 3
    plain = ActiveSet.fit(descriptors, types).grade(probes, np.zeros(50, dtype=int))
    scaled = ActiveSet.fit(descriptors * scale, types).grade(probes * scale, np.zeros(50, dtype=int))
    np.testing.assert_allclose(scaled, plain, rtol=1e-6)


def test_order_of_the_probes_does_not_matter(training):
    active = ActiveSet.fit(*training)
    order = np.random.default_rng(4).permutation(400)
    np.testing.assert_array_equal(active.grade(training[0][order], training[1][order]), active.grade(*training)[order])


def test_saved_set_gives_the_same_grades(training, tmp_path):
    active = ActiveSet.fit(*training)
    active.save(tmp_path / 'set.npz')
    loaded = ActiveSet.load(tmp_path / 'set.npz')
    probes = np.random.default_rng(5).normal(size=(20, 6))
    types = np.arange(20) % 3
    np.testing.assert_array_equal(loaded.grade(probes, types), active.grade(probes, types))
    np.testing.assert_array_equal(loaded.elements[1].atoms, active.elements[1].atoms)


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match='nowhere'):
        ActiveSet.load(tmp_path / 'nowhere.npz')
    np.savez(tmp_path / 'other.npz', a=np.zeros(3))
    with pytest.raises(FormatError, match='other'):
        ActiveSet.load(tmp_path / 'other.npz')


def test_shapes_that_do_not_fit_are_refused(training):
    descriptors, types = training
    with pytest.raises(InputError, match='do not fit'):
        ActiveSet.fit(descriptors, types[:-1])
    with pytest.raises(InputError, match='6 descriptors'):
        ActiveSet.fit(descriptors, types).grade(descriptors[:, :5], types)
