import os
import pickle
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import EngineError, FitError, InputError, InstallationError, MlipError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.trainer_predictions import TRAINER_PREDICTIONS
from aiida_mlip_autopipe.engines.lammps import isolated as module
from aiida_mlip_autopipe.engines.lammps.descriptors import atom_rows
from aiida_mlip_autopipe.engines.lammps.dynamics import run_md
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.pod.descriptors import features, pod_features
from aiida_mlip_autopipe.engines.pod.files import ACTIVE_SET, COEFFICIENTS, PARAMETERS, grade_lines, pair_lines
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.science.linear.posterior import POSTERIOR
from aiida_mlip_autopipe.science.md.records import MdSettings, TrajectoryEnd
from tests.pod_data import CUTOFF, ELEMENTS, REFERENCES, alloy, training_frames

FILES = {PARAMETERS, COEFFICIENTS, ACTIVE_SET, POSTERIOR, TRAINER_PREDICTIONS}
SETTINGS = PodSettings(elements=ELEMENTS, cutoff=CUTOFF, basis='S')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('engine')


@pytest.fixture(scope='module')
def fit(folder):
    return isolated(partial(fit_pod, training_frames(15), REFERENCES, SETTINGS, folder), folder)


@pytest.fixture(scope='module')
def potential(fit):
    """The potential with paths relative to its folder."""
    lines = tuple(pair_lines(ELEMENTS, fit.core)), fit.cutoff, tuple(grade_lines(ELEMENTS))
    return LammpsPotential(ELEMENTS, *lines, active_set=Path(ACTIVE_SET))


@pytest.mark.lammps
def test_fit_writes_the_potential_and_nothing_else(fit, folder):
    assert {path.name for path in folder.iterdir()} == FILES
    assert fit.gamma_train_max <= 1.01 + 1e-9
    assert fit.report.size == 'S'
    assert fit.report.held_out.force > 0


@pytest.mark.lammps
def test_evaluate_reproduces_the_training_errors(fit, potential, folder):
    frames = training_frames(15)
    found = isolated(partial(evaluate_frames, frames, potential), folder)
    assert np.sqrt(np.mean((found.forces - frames.forces) ** 2)) == pytest.approx(fit.report.errors.force, rel=1e-6)
    assert found.gamma.max() <= 1.01 + 1e-6


@pytest.mark.lammps
def test_md_runs(potential, folder):
    settings = MdSettings(300.0, 50, 1, gamma_select=1e-6, gamma_halt=1e9, max_candidates=3)
    result = isolated(partial(run_md, alloy(np.random.default_rng(0), size=(2, 2, 1), rattle=0.02), potential, settings), folder)
    assert result.stop is TrajectoryEnd.FINISHED
    assert len(result.candidates) == 3
    assert result.trace.step.tolist() == [0, 10, 20, 30, 40, 50]


@pytest.mark.lammps
def test_features_equal_those_of_this_process():
    frames = training_frames(4)
    found = features(frames, elements=ELEMENTS, cutoff=CUTOFF)
    np.testing.assert_array_equal(found, pod_features(frames, elements=ELEMENTS, cutoff=CUTOFF))


@pytest.mark.lammps
def test_descriptors_of_atoms_equal_those_of_this_process(potential, folder):
    frames = training_frames(3)
    found, expected = isolated(partial(atom_rows, frames, potential, folder), folder), atom_rows(frames, potential, folder)
    for name in ('rows', 'kinds', 'counts'):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.lammps
def test_errors_for_the_user_come_back_as_they_are(tmp_path, potential, folder):
    with pytest.raises(FitError, match='frame 0'):
        isolated(partial(fit_pod, Frames.from_atoms([bulk('Cu')]), REFERENCES, SETTINGS, tmp_path), tmp_path)
    with pytest.raises(InputError, match='frame 0'):
        isolated(partial(evaluate_frames, Frames.from_atoms([Atoms('Cu', cell=[12] * 3, pbc=True)]), potential), folder)


@pytest.mark.lammps
def test_a_crash_of_pod_is_an_engine_error(potential, folder):
    blind = LammpsPotential(potential.elements, potential.pair_lines, cutoff=13.0)  # this cutoff hides the isolated atom
    frames = Frames.from_atoms([Atoms('Cu', cell=[12] * 3, pbc=True)])
    with pytest.raises(EngineError, match='SIG'):
        isolated(partial(evaluate_frames, frames, blind), folder)
    assert {path.name for path in folder.iterdir()} == FILES


@pytest.mark.lammps
def test_time_limit(tmp_path):
    with pytest.raises(EngineError, match='time limit'):
        isolated(partial(fit_pod, training_frames(4), REFERENCES, SETTINGS, tmp_path), tmp_path, timeout=0.05)


def refuse(kind, text):
    raise kind(text)


@pytest.mark.parametrize('kind', [InputError, FitError, EngineError, InstallationError, MlipError])
def test_an_error_keeps_its_kind(tmp_path, kind, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(Path(__file__).parents[3]))
    with pytest.raises(MlipError, match=r'^cutoff is 3$') as caught:
        isolated(partial(refuse, kind, 'cutoff is 3'), tmp_path)
    assert caught.type is kind


def test_another_error_is_an_engine_error_with_its_traceback(tmp_path):
    with pytest.raises(EngineError, match=r'exit code 1(.|\n)*ZeroDivisionError'):
        isolated(partial(divmod, 1, 0), tmp_path)


def test_it_works_in_the_folder_and_leaves_nothing(tmp_path):
    assert isolated(os.getcwd, tmp_path) == str(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_crash_names_the_signal(tmp_path):
    with pytest.raises(EngineError, match='SIGSEGV'):
        isolated(partial(signal.raise_signal, signal.SIGSEGV), tmp_path)


def test_nothing_of_the_folder_shadows_a_module(tmp_path):
    (tmp_path / 'json.py').write_text('raise SystemExit(9)')
    assert isolated(partial(abs, -1), tmp_path) == 1


@pytest.mark.parametrize(
    ('call', 'code', 'answer'), [(partial(abs, -1), 0, 1), (partial(refuse, InputError, 'no'), 3, InputError)]
)
def test_the_program_leaves_an_answer(tmp_path, call, code, answer):
    question, place = tmp_path / 'call', tmp_path / 'answer'
    question.write_bytes(pickle.dumps(call))
    assert module.main([str(question), str(place)]) == code
    found = pickle.loads(place.read_bytes())
    assert found == answer or type(found) is answer
