"""What the grade is for: MD stops where it is high, and the frames that it hands back are those with the larger true error."""

from __future__ import annotations

import dataclasses
import itertools
import sys

import numpy as np
import pytest
from scipy.stats import spearmanr

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.dynamics import run_md
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.science.md.records import MdSettings, TrajectoryEnd
from tests import pod_data
from tests.engines.conftest import Fitted
from tests.pod_data import alloy, labelled

MELTING = 1350.0
"""K; copper melts at 1358 K, gold at 1337 K."""

CALM = MdSettings(temperature=300.0, steps=300, seed=7, timestep=2.0, gamma_select=2.0, gamma_halt=10.0, max_candidates=30)
SHARES = (0.0, 0.5, 0.75)


def start(share):
    return alloy(np.random.default_rng(round(100 * share)), share, size=(2, 2, 2), rattle=0.02)


@pytest.fixture(scope='module')
def fitted(tmp_path_factory):
    """Return a potential with more training atoms of each element than descriptors: else the grade halts everything."""
    folder, frames = tmp_path_factory.mktemp('small'), pod_data.training_frames(40)
    settings = PodSettings(elements=pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, basis='S')
    fit = fit_pod(frames, pod_data.REFERENCES, settings, folder)
    return Fitted(frames, fit, pod_data.potential_of(fit, folder))


@pytest.fixture(scope='module')
def runs(fitted):
    """Runs at 300 K and at twice the melting temperature of three compositions."""
    kinds = {'calm': CALM, 'hot': dataclasses.replace(CALM, temperature=2 * MELTING)}
    return {(s, kind): run_md(start(s), fitted.potential, settings) for s in SHARES for kind, settings in kinds.items()}


def all_frames(share, temperature, potential):
    """Return the frames of every check of the same run: the trajectory does not depend on what is kept of it."""
    settings = dataclasses.replace(CALM, temperature=temperature, gamma_select=1e-9, max_candidates=1000)
    return run_md(start(share), potential, settings).candidates


@pytest.mark.lammps
def test_a_run_at_300_k_finishes(runs):
    assert {run.stop for (_, kind), run in runs.items() if kind == 'calm'} == {TrajectoryEnd.FINISHED}


@pytest.mark.lammps
def test_a_run_at_twice_the_melting_temperature_is_stopped_by_the_grade(runs):
    assert {run.stop for (_, kind), run in runs.items() if kind == 'hot'} == {TrajectoryEnd.GRADE}


@pytest.mark.lammps
def test_frames_that_are_handed_back_have_the_higher_true_force_error(fitted, runs, capsys):
    frames, returned = [], []
    for (share, kind), run in runs.items():
        steps = {frame.info['step'] for frame in run.candidates}
        seen = all_frames(share, CALM.temperature if kind == 'calm' else 2 * MELTING, fitted.potential)
        thinned = seen[:: 2 if kind == 'calm' else 1]
        frames.extend(thinned)
        returned.extend(frame.info['step'] in steps for frame in thinned)
    is_returned = np.array(returned)
    assert is_returned.sum() > 10
    assert (~is_returned).sum() > 10
    gamma = np.array([frame.info['gamma_max'] for frame in frames])
    predicted = evaluate_frames(Frames.from_atoms(frames), fitted.potential)
    truth = np.concatenate([labelled(frame).get_forces() for frame in frames])
    offsets = np.cumsum([0, *(len(frame) for frame in frames)])
    errors = np.linalg.norm(predicted.forces - truth, axis=1)
    worst = np.array([errors[a:b].max() for a, b in itertools.pairwise(offsets)])
    of_frames, of_atoms = spearmanr(gamma, worst).statistic, spearmanr(predicted.gamma, errors).statistic
    median = {name: float(np.median(worst[mask])) for name, mask in (('returned', is_returned), ('not', ~is_returned))}
    with capsys.disabled():
        sys.stdout.write(
            f'\ngrade against true force error, {len(frames)} frames, {len(errors)} atoms: rank correlation {of_frames:.2f} '
            f'(frames), {of_atoms:.2f} (atoms); median of the largest error of a frame {median["returned"]:.3f} eV/Å in '
            f'{is_returned.sum()} frames handed back, {median["not"]:.3f} eV/Å in {(~is_returned).sum()} others\n'
        )
    assert of_frames > 0.5
    assert of_atoms > 0.3
    assert median['returned'] > median['not']
    assert worst[is_returned].mean() > worst[~is_returned].mean()
