"""Stage explore: one entry for each start, candidates that know where they come from, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.formats.restarts import RESTARTS, restart_file
from aiida_mlip_autopipe.remote import explore
from aiida_mlip_autopipe.remote.potential_files import read_potential
from aiida_mlip_autopipe.science.md.findings import CONFIG_TYPE
from tests.remote.conftest import Outcome, run_in
from tests.remote.crashing_child import CHECKS, crashing_md

Stage = Callable[..., Outcome]
STEPS = 60
SQUEEZE = 0.9
INTERVAL = 10
N_STARTS = 2
MAX_CANDIDATES = 4
TEMPERATURE = 300.0
TRACES = ('step', 'gamma_max', 'temperature', 'energy', 'pressure', 'bond')
ROOT = Path(__file__).resolve().parents[2]


def request(seed: int = 5, **settings: Any) -> dict[str, Any]:
    values = {
        'steps': STEPS,
        'warmup': 0.0,
        'check_interval': INTERVAL,
        'gamma_select': 1.0,
        'gamma_halt': 1e6,
        'timestep': 1.0,
        'max_candidates': MAX_CANDIDATES,
        'pressure': None,
        **settings,
    }
    return {'settings': values, 'temperature': TEMPERATURE, 'seed': seed, 'round': 3}


def starts(generated: Outcome, count: int = N_STARTS) -> Frames:
    frames = generated.frames('frames')
    return frames.take(np.flatnonzero(frames.config_type == 'sqs')[:count])


def squeezed(generated: Outcome, count: int = N_STARTS) -> Frames:
    """Return starts that the potential has never seen, so that the first look at the grade already finds candidates."""
    frames = starts(generated, count)
    return frames.replace(cells=SQUEEZE * frames.cells, positions=SQUEEZE * frames.positions)


@pytest.fixture(scope='module')
def explored(tmp_path_factory: pytest.TempPathFactory, potential: Path, generated: Outcome) -> Outcome:
    return run_in(tmp_path_factory.mktemp('explore') / 'job', 'explore', request(), potential=potential, starts=starts(generated))


@pytest.mark.lammps
class TestTrajectories:
    def test_one_entry_for_each_start(self, explored: Outcome, generated: Outcome) -> None:
        runs = explored.report['trajectories']
        assert [run['start'] for run in runs] == starts(generated).uid.tolist()
        assert [run['lineage'] for run in runs] == starts(generated).lineage.tolist()
        assert {run['temperature'] for run in runs} == {TEMPERATURE}
        assert len({run['seed'] for run in runs}) == N_STARTS, 'each start has velocities of its own'

    def test_entry_says_what_the_trace_says(self, explored: Outcome) -> None:
        arrays = explored.arrays('trajectories')
        assert set(arrays) == {f'{name}_{i}' for name in TRACES for i in range(N_STARTS)}
        for index, run in enumerate(explored.report['trajectories']):
            assert (run['reason'], run['message'], run['steps_done']) == ('finished', '', STEPS)
            gamma = arrays[f'gamma_max_{index}']
            assert run['gamma_max'] == gamma.max()
            assert run['share_above_select'] == (gamma > 1.0).mean()
            assert arrays[f'step_{index}'].tolist() == list(range(0, STEPS + 1, INTERVAL))
            assert {len(arrays[f'{name}_{index}']) for name in TRACES} == {STEPS // INTERVAL + 1}

    def test_candidates_know_where_they_come_from(self, explored: Outcome, generated: Outcome) -> None:
        frames, runs = explored.frames('candidates'), explored.report['trajectories']
        assert len(frames) == sum(run['n_candidates'] for run in runs) > 0
        assert max(run['n_candidates'] for run in runs) <= MAX_CANDIDATES
        assert set(frames.config_type) == {CONFIG_TYPE}
        assert set(frames.round) == {3}
        assert not frames.labelled.any()
        lineage_of = dict(zip(starts(generated).uid.tolist(), starts(generated).lineage.tolist(), strict=True))
        assert [lineage_of[parent] for parent in frames.parent.tolist()] == frames.lineage.tolist()
        assert [uid_of(atoms) for atoms in frames] == frames.uid.tolist()
        origin = json.loads(str(frames.origin[0]))
        assert origin.items() >= {'strategy': 'md', 'temperature': TEMPERATURE, 'pressure': None}.items()
        assert origin['seed'] in {run['seed'] for run in runs}
        assert origin['gamma_max'] > 1.0

    def test_same_inputs_same_outputs(self, stage: Stage, explored: Outcome, potential: Path, generated: Outcome) -> None:
        again = stage('explore', request(), potential=potential, starts=starts(generated))
        assert again.report == explored.report
        for port in ('candidates', 'candidate_grades', 'trajectories'):
            a, b = explored.arrays(port), again.arrays(port)
            assert set(a) == set(b)
            assert all(np.array_equal(a[name], b[name]) for name in a)

    def test_grade_stops_the_run_and_pressure_arrives(self, stage: Stage, potential: Path, generated: Outcome) -> None:
        settings = request(seed=6, gamma_select=1.0, gamma_halt=1.0001, pressure=1.0, steps=400)
        outcome = stage('explore', settings, potential=potential, starts=starts(generated, 1))
        (run,) = outcome.report['trajectories']
        assert run['reason'] == 'grade'
        assert run['steps_done'] < 400
        assert run['gamma_max'] > 1.0001
        (last,) = [json.loads(text) for text in outcome.frames('candidates').origin.tolist()[-1:]]
        assert last['step'] == run['steps_done']
        assert last['pressure'] == pytest.approx(0.006241509, rel=1e-6), 'eV/Å³ in one GPa'

    def test_nothing_unknown(self, stage: Stage, potential: Path, generated: Outcome) -> None:
        settings = request(gamma_select=1e5, steps=INTERVAL)
        outcome = stage('explore', settings, potential=potential, starts=starts(generated, 1))
        (run,) = outcome.report['trajectories']
        assert (run['n_candidates'], run['share_above_select']) == (0, 0.0)
        assert not outcome.has('candidates')

    def test_failure_of_one_start_does_not_stop_the_others(
        self, stage: Stage, potential: Path, generated: Outcome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, calls = isolated, []

        def failing_first(*arguments: Any, **options: Any) -> Any:
            calls.append(arguments)
            if len(calls) == 1:
                raise EngineError('LAMMPS ended by SIGSEGV')
            return real(*arguments, **options)

        monkeypatch.setattr(explore, 'isolated', failing_first)
        outcome = stage('explore', request(steps=INTERVAL), potential=potential, starts=starts(generated))
        first, second = outcome.report['trajectories']
        assert (first['reason'], first['message'], first['steps_done']) == ('error', 'LAMMPS ended by SIGSEGV', 0)
        assert (first['gamma_max'], first['share_above_select'], first['n_candidates']) == (None, None, 0)
        assert second['reason'] == 'finished'
        assert {name.rpartition('_')[2] for name in outcome.arrays('trajectories')} == {'1'}


@pytest.mark.lammps
class TestFindings:
    def test_grades_lie_in_the_order_of_the_atoms(self, explored: Outcome) -> None:
        frames, gamma = explored.frames('candidates'), explored.arrays('candidate_grades')['gamma']
        assert len(gamma) == len(frames.numbers)
        for index in range(len(frames)):
            origin = json.loads(str(frames.origin[index]))
            assert gamma[frames.rows(index)].max() == pytest.approx(origin['gamma_max'], rel=1e-12)

    def test_the_report_has_the_share_of_time_above_the_threshold(self, explored: Outcome) -> None:
        report = explored.report
        gammas = np.concatenate([explored.arrays('trajectories')[f'gamma_max_{i}'] for i in range(N_STARTS)])
        assert report['share_above_select'] == pytest.approx((gammas > 1.0).mean())
        assert report['n_candidates'] == len(explored.frames('candidates'))
        assert (report['n_duplicates'], report['n_uncut']) == (0, 0)
        assert [run['n_checks'] for run in report['trajectories']] == [STEPS // INTERVAL + 1] * N_STARTS
        assert all(0.5 < run['shortest_bond'] < 1.2 for run in report['trajectories'])

    def test_each_trajectory_leaves_a_restart_file(self, explored: Outcome) -> None:
        assert sorted(p.name for p in (explored.folder / RESTARTS).iterdir()) == [restart_file(i) for i in range(N_STARTS)]

    def test_large_frames_are_cut(self, stage: Stage, potential: Path, generated: Outcome) -> None:
        small = starts(generated, 1).atoms(0)
        large = small.repeat((4, 4, 6))
        large.info = {**small.info, 'uid': uid_of(large)}
        settings = request(steps=INTERVAL, max_atoms=150, max_candidates=1)
        outcome = stage('explore', settings, potential=potential, starts=Frames.from_atoms([large]))
        frames, gamma = outcome.frames('candidates'), outcome.arrays('candidate_grades')['gamma']
        (origin,) = [json.loads(text) for text in frames.origin.tolist()]
        assert len(large) == origin['carved_from'] > 150 >= len(frames.numbers) == len(gamma)
        assert gamma[origin['centre']] == gamma.max() == pytest.approx(origin['gamma_max'], rel=1e-12)
        predicted = isolated(partial(evaluate_frames, frames, read_potential(outcome.folder)), outcome.folder / files.POTENTIAL)
        assert predicted.gamma is not None
        assert predicted.gamma[origin['centre']] == pytest.approx(origin['gamma_max'], rel=1e-6)

    def test_frames_that_cannot_be_cut_stay_reachable(self, stage: Stage, potential: Path, generated: Outcome) -> None:
        settings = request(steps=INTERVAL, max_atoms=3, max_candidates=2)
        outcome = stage('explore', settings, potential=potential, starts=squeezed(generated, 1))
        report = outcome.report
        assert (report['n_candidates'], report['n_uncut']) == (0, len(outcome.frames('uncut')))
        assert report['n_uncut'] > 0
        assert not outcome.has('candidates')
        assert 'max_atoms: got 3' in json.loads(str(outcome.frames('uncut').origin[0]))['uncut']

    def test_same_structure_counts_once(
        self, stage: Stage, potential: Path, generated: Outcome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = isolated
        same = None

        def repeated(*arguments: Any, **options: Any) -> Any:
            nonlocal same
            same = same or real(*arguments, **options)
            return same

        monkeypatch.setattr(explore, 'isolated', repeated)
        outcome = stage('explore', request(steps=INTERVAL), potential=potential, starts=squeezed(generated))
        first, second = outcome.report['trajectories']
        assert (outcome.report['n_duplicates'], second['n_candidates']) == (first['n_candidates'], 0)
        assert len(set(outcome.frames('candidates').uid.tolist())) == len(outcome.frames('candidates'))


@pytest.mark.lammps
class TestPartialOutput:
    def test_a_crash_of_the_process_keeps_what_was_seen(
        self, stage: Stage, potential: Path, generated: Outcome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv('PYTHONPATH', str(ROOT))
        monkeypatch.setattr(explore, 'run_md', crashing_md)
        outcome = stage('explore', request(), potential=potential, starts=starts(generated))
        for index, run in enumerate(outcome.report['trajectories']):
            assert (run['reason'], run['n_checks'], run['steps_done']) == ('error', CHECKS, (CHECKS - 1) * INTERVAL)
            assert 'crashed with signal SIGSEGV' in run['message']
            assert run['gamma_max'] == outcome.arrays('trajectories')[f'gamma_max_{index}'].max()
        assert len(outcome.frames('candidates')) == outcome.report['n_candidates'] > 0
        assert len(list((outcome.folder / RESTARTS).iterdir())) == N_STARTS, 'written on the way'

    def test_the_end_of_the_job_keeps_what_was_seen(
        self, stage: Stage, potential: Path, generated: Outcome, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = isolated

        def ended(call: Any, folder: Path) -> Any:
            real(call, folder)
            raise SystemExit(143)

        monkeypatch.setattr(explore, 'isolated', ended)
        folder = potential.parent.parent / 'ended'
        with pytest.raises(SystemExit):
            run_in(folder, 'explore', request(steps=INTERVAL), potential=potential, starts=squeezed(generated))
        left = Outcome(1, folder)
        assert left.arrays('trajectories')['step_0'].tolist() == [0, INTERVAL]
        assert set(left.frames('candidates').config_type) == {CONFIG_TYPE}, 'the end of the job is no failure of the potential'
        assert not (folder / files.REPORT).exists()


class TestRefused:
    def test_missing_potential(self, stage: Stage, generated: Outcome) -> None:
        error = stage('explore', request(), starts=starts(generated)).error
        assert error['message'] == 'potential/potential.json: the record of the potential is missing'

    @pytest.mark.lammps
    def test_missing_starts(self, stage: Stage, potential: Path) -> None:
        error = stage('explore', request(), potential=potential).error
        assert error == {'kind': 'InputError', 'message': 'starts.npz: the frames of the input starts are missing'}

    def test_bad_settings(self, stage: Stage) -> None:
        error = stage('explore', request(gamma_halt=0.5)).error
        assert error['message'].startswith('explore.gamma_halt: got 0.5; input should be greater than 1')
