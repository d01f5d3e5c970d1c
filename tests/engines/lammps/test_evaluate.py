import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from tests.pod_data import alloy

pytestmark = pytest.mark.lammps


def test_rows_follow_the_frames(fitted):
    frames = fitted.frames.take([3, 0])
    together = evaluate_frames(frames, fitted.potential)
    alone = evaluate_frames(frames.take([1]), fitted.potential)
    assert together.energy[1] == pytest.approx(alone.energy[0], abs=1e-10)
    np.testing.assert_allclose(together.forces[frames.rows(1)], alone.forces, atol=1e-10)
    np.testing.assert_allclose(together.gamma[frames.rows(1)], alone.gamma, rtol=1e-9)


def test_a_super_cell_repeats_the_cell(fitted):
    atoms = alloy(np.random.default_rng(8))
    single = evaluate_frames(Frames.from_atoms([atoms]), fitted.potential)
    double = evaluate_frames(Frames.from_atoms([atoms * (1, 2, 1)]), fitted.potential)
    assert double.energy[0] == pytest.approx(2 * single.energy[0], abs=1e-9)
    np.testing.assert_allclose(double.stress, single.stress, atol=1e-10)
    np.testing.assert_allclose(double.gamma, np.tile(single.gamma, 2), rtol=1e-6)


def test_any_pair_style_without_a_grade():
    potential = LammpsPotential(('Cu',), ('pair_style lj/cut 5.0', 'pair_coeff 1 1 0.4 2.3'), 5.0)
    found = evaluate_frames(Frames.from_atoms([bulk('Cu', cubic=True)]), potential)
    assert found.gamma is None
    assert found.energy[0] < 0


def test_the_frame_on_which_pod_would_crash_is_named(fitted):
    frames = Frames.from_atoms([bulk('Cu', cubic=True), Atoms('Cu', cell=[12] * 3, pbc=True)])
    with pytest.raises(InputError, match='frame 1'):
        evaluate_frames(frames, fitted.potential)


def test_unknown_elements_are_refused(fitted):
    with pytest.raises(InputError, match='Ag'):
        evaluate_frames(Frames.from_atoms([bulk('Ag')]), fitted.potential)


def test_an_active_set_without_its_compute_gives_no_grade(fitted):
    plain = dataclasses.replace(fitted.potential, grade_lines=())
    assert evaluate_frames(fitted.frames.take([0]), plain).gamma is None
