import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import EngineError, FitError, InputError, InstallationError, MlipError
from aiida_mlip_autopipe.common.pod import ZblCore
from aiida_mlip_autopipe.remote import lammps_job as job
from aiida_mlip_autopipe.science.ace.fit import AceFit, AceSettings
from aiida_mlip_autopipe.science.checks.nve import NveSettings
from aiida_mlip_autopipe.science.evaluate import Evaluation
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential
from aiida_mlip_autopipe.science.linear.fit import FitErrors
from aiida_mlip_autopipe.science.linear.posterior import Spread
from aiida_mlip_autopipe.science.linear.search import FitReport
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, MdTrace, StopReason
from aiida_mlip_autopipe.science.pod.fit import PodFit, PodSettings
from aiida_mlip_autopipe.science.select.d_optimal import AtomRows


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


def report(stress, held_out):
    return FitReport(
        size='40',
        ridge=1e-6,
        weights={'force': 1.0, 'energy': 12.0},
        noise={'force': 0.1, 'energy': 0.30000000000000004},
        log_evidence={'20': -3.5, '40': 1 / 3},
        n_determined=17.3,
        n_rows=12,
        errors=FitErrors(0.001, 0.02, stress),
        held_out=FitErrors(0.002, 0.03, stress) if held_out else None,
        held_out_groups='lineage',
        stress_offset=None,
        core_tolerance=None,
    )


def assert_same_fit(back, sent):
    assert type(back) is type(sent)
    np.testing.assert_array_equal(back.coefficients, sent.coefficients)
    others = [{name: value for name, value in vars(fit).items() if name != 'coefficients'} for fit in (back, sent)]
    assert others[0] == others[1]


@pytest.mark.parametrize('core', [None, ZblCore(1.1, 1.5)])
@pytest.mark.parametrize('stress', [None, 0.003])
@pytest.mark.parametrize('held_out', [True, False])
def test_a_fit_of_pod_travels(tmp_path, core, stress, held_out):
    fit = PodFit(
        coefficients=np.array([1.0, 1 / 3]),
        report=report(stress, held_out),
        cutoff=4.5,
        shortest=2.2,
        core=core,
        gamma_train_max=1.0,
        active_atoms={'Cu': 3},
        seconds={'rows': 0.5},
    )
    assert_same_fit(job.unpack_pod_fit(travel(job.pack_fit(fit), tmp_path)), fit)


def test_a_fit_of_ace_travels(tmp_path):
    fit = AceFit(
        coefficients=np.array([1.0, 1 / 3]),
        report=report(0.003, held_out=True),
        functions={'Cu': 1, 'Au': 1},
        energy_shift={'Cu': -3.3, 'Au': 0.1},
        shortest={'Au-Cu': 2.2},
        gamma_train_max=1.0,
        active_atoms={'Cu': 3},
        seconds={'rows': 0.5},
    )
    assert_same_fit(job.unpack_ace_fit(travel(job.pack_fit(fit), tmp_path)), fit)


@pytest.mark.parametrize('n_candidates', [0, 2])
@pytest.mark.parametrize('n_before', [0, 1])
def test_a_run_travels(tmp_path, n_candidates, n_before):
    before = [frame(5 * i) for i in range(n_before)]
    result = MdResult([frame(10 * i) for i in range(n_candidates)], StopReason.GRADE, '', 20, 5, trace(3), before)
    back = job.unpack_md(travel(job.pack_md(result), tmp_path))
    assert (back.stop, back.message, back.steps_done, back.n_selected) == (StopReason.GRADE, '', 20, 5)
    for name, column in vars(result.trace).items():
        np.testing.assert_array_equal(getattr(back.trace, name), column)
    assert (len(back.candidates), len(back.before_failure)) == (n_candidates, n_before)
    frames = [*back.candidates, *back.before_failure], [*result.candidates, *result.before_failure]
    for found, sent in zip(*frames, strict=True):
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
    md = MdSettings(300.0, 10, 1, pressure=0.01, volume_window=(0.5, 2.0), warmup=5)
    assert job.unpack_md_settings(json.loads(json.dumps(vars(md)))) == md


@pytest.mark.parametrize(
    'sent',
    [
        PodSettings(elements=('Cu', 'Au'), cutoff=4.5, seed=3, basis='L'),
        AceSettings(elements=('Cu', 'Au'), cutoff=4.5, functions=77, energy_weight=None, ridge=1e-6),
    ],
)
def test_settings_of_a_fit_travel(sent):
    assert job.unpack_fit_settings(json.loads(json.dumps(dataclasses.asdict(sent))), type(sent)) == sent


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


def test_a_spread_travels(tmp_path):
    sent = Spread(np.array([0.1, 0.2]), np.arange(5.0))
    back = job.unpack_spread(travel(job.pack_spread(sent), tmp_path))
    np.testing.assert_array_equal(back.energy, sent.energy)
    np.testing.assert_array_equal(back.forces, sent.forces)


def test_settings_at_constant_energy_travel():
    sent = NveSettings(temperature=300.0, steps=100, timestep=1.0, seed=4)
    assert job.unpack_nve_settings(json.loads(json.dumps(vars(sent)))) == sent


def test_descriptors_of_atoms_travel(tmp_path):
    sent = AtomRows(np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 0, 0, 1]), np.array([2, 3]))
    back = job.unpack_atom_rows(travel(job.pack_atom_rows(sent), tmp_path))
    for name, column in vars(sent).items():
        np.testing.assert_array_equal(getattr(back, name), column)
