"""Stage explore: one entry for each start, candidates that know where they come from, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.remote.explore import CONFIG_TYPE
from tests.remote.conftest import Outcome, run_in

Stage = Callable[..., Outcome]
STEPS = 60
INTERVAL = 10
N_STARTS = 2
MAX_CANDIDATES = 4
TEMPERATURE = 300.0
TRACES = ('step', 'gamma_max', 'temperature', 'energy', 'pressure')


def request(seed: int = 5, **settings: Any) -> dict[str, Any]:
    values = {
        'steps': STEPS,
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
        for port in ('candidates', 'trajectories'):
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
        from aiida_mlip_autopipe.common.errors import EngineError  # noqa: PLC0415  # only this test needs them
        from aiida_mlip_autopipe.remote import engine  # noqa: PLC0415

        real, calls = engine.md, []

        def failing_first(*arguments: Any, **options: Any) -> Any:
            calls.append(arguments)
            if len(calls) == 1:
                raise EngineError('LAMMPS ended by SIGSEGV')
            return real(*arguments, **options)

        monkeypatch.setattr(engine, 'md', failing_first)
        outcome = stage('explore', request(steps=INTERVAL), potential=potential, starts=starts(generated))
        first, second = outcome.report['trajectories']
        assert (first['reason'], first['message'], first['steps_done']) == ('error', 'LAMMPS ended by SIGSEGV', 0)
        assert (first['gamma_max'], first['share_above_select'], first['n_candidates']) == (None, None, 0)
        assert second['reason'] == 'finished'
        assert {name.rpartition('_')[2] for name in outcome.arrays('trajectories')} == {'1'}


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
        assert error['message'].startswith('gamma_halt: got 0.5; input should be greater than 1')
