import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from aiida_mlip_autopipe.science.pod.committee import Spread
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import EngineError, FitError, InputError, InstallationError, MlipError
from aiida_mlip_autopipe.common.pod import ZblCore
from aiida_mlip_autopipe.remote import lammps_job as job
from aiida_mlip_autopipe.science.checks.nve import NveSettings
from aiida_mlip_autopipe.science.evaluate import Evaluation
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, MdTrace, StopReason
from aiida_mlip_autopipe.science.pod.fit import PodFit, PodSettings, TrainingErrors


def travel(packet, folder):
    packet.write(folder)
    return job.Packet.read(folder)


def trace(n_checks):
    return MdTrace(np.arange(n_checks), *(np.random.default_rng(i).normal(size=n_checks) for i in range(4)))


def frame(step):
    atoms = bulk('Cu', cubic=True)
    atoms.info.update(gamma_max=float('inf'), step=step)
    atoms.arrays['gamma'] = np.array([1.0, 2.0, np.inf, 0.1])
    return atoms


@pytest.mark.parametrize('core', [None, ZblCore(1.1, 1.5)])
@pytest.mark.parametrize('stress', [None, 0.003])
def test_a_fit_travels(tmp_path, core, stress):
    fit = PodFit(
        coefficients=np.array([1.0, 1 / 3]),
        basis='S',
        ridge=1e-6,
        ridge_scores={1e-6: 0.1, 1e-12: 0.30000000000000004},
        ridge_groups='lineage',
        n_rows=12,
        errors=TrainingErrors(0.001, 0.02, stress),
        cutoff=4.5,
        shortest=2.2,
        core=core,
        gamma_train_max=1.0,
        active_atoms={'Cu': 3},
        seconds={'rows': 0.5},
    )
    back = job.unpack_fit(travel(job.pack_fit(fit), tmp_path))
    np.testing.assert_array_equal(back.coefficients, fit.coefficients)
    assert {k: v for k, v in vars(back).items() if k != 'coefficients'} == {
        k: v for k, v in vars(fit).items() if k != 'coefficients'
    }


@pytest.mark.parametrize('n_candidates', [0, 2])
def test_a_run_travels(tmp_path, n_candidates):
    result = MdResult([frame(10 * i) for i in range(n_candidates)], StopReason.GRADE, '', 20, 5, trace(3))
    back = job.unpack_md(travel(job.pack_md(result), tmp_path))
    assert (back.stop, back.message, back.steps_done, back.n_selected) == (StopReason.GRADE, '', 20, 5)
    for name, column in vars(result.trace).items():
        np.testing.assert_array_equal(getattr(back.trace, name), column)
    assert len(back.candidates) == n_candidates
    for found, sent in zip(back.candidates, result.candidates, strict=True):
        assert found == sent
        assert found.info == sent.info
        np.testing.assert_array_equal(found.arrays['gamma'], sent.arrays['gamma'])


@pytest.mark.parametrize('gamma', [None, np.array([1.0, np.inf])])
def test_an_evaluation_travels(tmp_path, gamma):
    sent = Evaluation(np.array([1.5]), np.ones((2, 3)), np.zeros((1, 6)), gamma)
    back = job.unpack_evaluation(travel(job.pack_evaluation(sent), tmp_path))
    for name, column in vars(sent).items():
        if column is None:
            assert getattr(back, name) is None
        else:
            np.testing.assert_array_equal(getattr(back, name), column)


@pytest.mark.parametrize('active_set', [None, Path('a/active_set.npz')])
def test_a_potential_travels(active_set):
    sent = LammpsPotential(('Cu', 'Au'), ('pair_style pod', 'pair_coeff'), 4.5, ('compute',), active_set)
    assert job.unpack_potential(json.loads(json.dumps(job.pack_potential(sent)))) == sent
    shifted = dataclasses.replace(sent, engine='pace', energy_shift={'Cu': -1.5})
    assert job.unpack_potential(json.loads(json.dumps(job.pack_potential(shifted)))) == shifted


def test_settings_travel():
    pod, md = PodSettings(('Cu', 'Au'), 4.5, seed=3), MdSettings(300.0, 10, 1, pressure=0.01)
    assert job.unpack_pod_settings(json.loads(json.dumps(vars(pod)))) == pod
    assert job.unpack_md_settings(json.loads(json.dumps(vars(md)))) == md


@pytest.mark.parametrize('kind', [InputError, FitError, EngineError, InstallationError, MlipError])
def test_an_error_keeps_its_kind(tmp_path, kind):
    job.write_failure(tmp_path, kind('cutoff is 3'))
    found = job.read_failure(tmp_path)
    assert type(found) is kind
    assert str(found) == 'cutoff is 3'


def test_no_error_and_no_result(tmp_path):
    assert job.read_failure(tmp_path) is None
    with pytest.raises(EngineError, match='without a readable result'):
        job.Packet.read(tmp_path)


def test_the_spread_of_a_committee_travels(tmp_path):
    sent = Spread(np.array([0.1, 0.2]), np.arange(5.0))
    back = job.unpack_spread(travel(job.pack_spread(sent), tmp_path))
    np.testing.assert_array_equal(back.energy, sent.energy)
    np.testing.assert_array_equal(back.forces, sent.forces)


def test_settings_at_constant_energy_travel():
    sent = NveSettings(temperature=300.0, steps=100, timestep=1.0, seed=4)
    assert job.unpack_nve_settings(json.loads(json.dumps(vars(sent)))) == sent
