"""Stage label-pw with small programs in place of `pw.x`: what runs when, what is kept, and what a job that ends early reports."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.batch import RunStatus
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.formats.frame_archive import FrameArchive, read_frame_archive
from aiida_mlip_autopipe.remote import label_pw
from aiida_mlip_autopipe.remote.label_pw import Allocation, run

WORKER = Path(sys.executable).parent / 'mlip-worker'
ENOUGH = 30.0
"""s, longer than any program of these tests takes."""

WRITES = f'mkdir -p out/aiida.save; echo xml > {pw_batch.XML_PATH}; echo waves > out/aiida.save/wfc1.dat; cat {pw_batch.INPUT}'
"""What a program does that succeeds: its input is its log."""

Job = Callable[..., dict[str, Any]]


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that makes a program of the lines of a shell script."""

    def make(script: str) -> str:
        path = tmp_path / 'program'
        path.write_text(f'#!/bin/sh\n{script}\n', encoding='utf-8')
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / 'job'
    (path / pw_batch.PSEUDO).mkdir(parents=True)
    return path


@pytest.fixture
def settings_of(folder: Path) -> Job:
    def make(command: str, texts: list[str], *, concurrency: int = 1, time_limit: float = ENOUGH) -> dict[str, Any]:
        write_inputs(folder, dict(enumerate(texts)))
        jobs = [{'index': index, 'cost': 2.0} for index in range(len(texts))]
        return {'jobs': jobs, 'command': [command], 'concurrency': concurrency, 'time_limit': time_limit}

    return make


def write_inputs(folder: Path, texts: dict[int, str]) -> None:
    (folder / pw_batch.INPUTS).unlink(missing_ok=True)
    with contextlib.closing(FrameArchive(folder / pw_batch.INPUTS, pw_batch.INPUT_SUFFIX)) as inputs:
        for index, text in texts.items():
            inputs.add(index, text.encode())


def results(folder: Path) -> dict[int, bytes]:
    with (folder / pw_batch.RESULTS).open('rb') as handle:
        return read_frame_archive(handle)


def statuses(report: dict[str, Any]) -> list[str]:
    return [one['status'] for one in report['runs']]


def kept(folder: Path, index: int) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(results(folder)[index])) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def is_alive(pid: int) -> bool:
    state = Path(f'/proc/{pid}/stat')
    return state.exists() and state.read_text(encoding='utf-8').rpartition(')')[2].split()[0] != 'Z'


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + ENOUGH
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_each_run_is_kept_without_its_wave_functions(folder: Path, program: Any, settings_of: Job) -> None:
    report = run(settings_of(program(WRITES), ['one', 'two']), folder)
    assert statuses(report) == [RunStatus.ENDED] * 2
    assert [one['returncode'] for one in report['runs']] == [0, 0]
    for index, text in enumerate(['one', 'two']):
        assert kept(folder, index) == {pw_batch.STDOUT: text, pw_batch.STDERR: '', pw_batch.XML: 'xml\n'}
    assert not list((folder / 'frames').iterdir())


def test_the_pseudopotentials_are_where_the_input_says(folder: Path, program: Any, settings_of: Job) -> None:
    (folder / pw_batch.PSEUDO / 'Al.upf').write_text('aluminium', encoding='utf-8')
    run(settings_of(program('cat pseudo/Al.upf'), ['']), folder)
    assert kept(folder, 0)[pw_batch.STDOUT] == 'aluminium'


def test_several_at_a_time(folder: Path, program: Any, settings_of: Job) -> None:
    # Each waits until all three have started: one after the other would never end.
    meets = 'touch ../../here.$$; while [ $(ls ../../here.* | wc -l) -lt 3 ]; do sleep 0.02; done'
    assert statuses(run(settings_of(program(meets), [''] * 3, concurrency=3, time_limit=10), folder)) == [RunStatus.ENDED] * 3


def test_never_more_at_a_time_than_allowed(folder: Path, program: Any, settings_of: Job) -> None:
    counts = 'touch ../../here.$$; ls ../../here.* | wc -l; sleep 0.1; rm ../../here.$$'
    run(settings_of(program(counts), [''] * 6, concurrency=2), folder)
    assert max(int(kept(folder, index)[pw_batch.STDOUT]) for index in range(6)) <= 2


def test_a_run_past_the_deadline_is_ended_and_the_rest_is_not_started(folder: Path, program: Any, settings_of: Job) -> None:
    script = f'{WRITES}; grep -q long {pw_batch.INPUT} && sleep 60'
    start = time.monotonic()
    report = run(settings_of(program(f'{script}; exit 0'), ['short', 'long', 'short'], time_limit=1.0), folder)
    assert time.monotonic() - start < label_pw.KILL_DELAY
    assert statuses(report) == [RunStatus.ENDED, RunStatus.OUT_OF_TIME, RunStatus.NOT_STARTED]
    assert list(results(folder)) == [0]


def test_a_run_that_does_not_listen_is_killed(
    folder: Path, program: Any, settings_of: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_pw, 'KILL_DELAY', 0.3)
    deaf = 'trap "" TERM; while true; do sleep 0.1; done'
    assert statuses(run(settings_of(program(deaf), [''], time_limit=0.3), folder)) == [RunStatus.OUT_OF_TIME]


def test_a_frame_that_would_not_end_in_time_is_not_started(folder: Path, program: Any, settings_of: Job) -> None:
    settings = settings_of(program('sleep 0.3'), ['', ''], time_limit=ENOUGH)
    settings['jobs'][1]['cost'] = 2.0 * 1000
    assert statuses(run(settings, folder)) == [RunStatus.ENDED, RunStatus.NOT_STARTED]


def test_without_time_nothing_starts(folder: Path, program: Any, settings_of: Job) -> None:
    report = run(settings_of(program(WRITES), ['', ''], time_limit=-1.0), folder)
    assert statuses(report) == [RunStatus.NOT_STARTED] * 2


def test_a_child_that_is_killed_leaves_the_others(folder: Path, program: Any, settings_of: Job) -> None:
    script = f'grep -q bad {pw_batch.INPUT} && kill -9 $$; {WRITES}'
    report = run(settings_of(program(script), ['good', 'bad', 'good']), folder)
    assert statuses(report) == [RunStatus.ENDED] * 3
    assert [one['returncode'] for one in report['runs']] == [0, -signal.SIGKILL, 0]
    assert pw_batch.XML not in kept(folder, 1)


def test_a_child_that_the_scheduler_asked_to_end_is_run_again(folder: Path, program: Any, settings_of: Job) -> None:
    report = run(settings_of(program('kill -15 $$'), ['']), folder)
    assert statuses(report) == [RunStatus.OUT_OF_TIME]
    assert not results(folder)


def test_nothing_of_a_killed_program_lives_on(folder: Path, program: Any, settings_of: Job) -> None:
    run(settings_of(program('sleep 60 & echo $!; kill -9 $$'), ['']), folder)
    child = int(kept(folder, 0)[pw_batch.STDOUT])
    wait_for(lambda: not is_alive(child))


def test_a_missing_program_is_named(folder: Path, settings_of: Job) -> None:
    report = run(settings_of('/nowhere/pw.x', ['', '']), folder)
    assert statuses(report) == [RunStatus.NO_PROGRAM] * 2
    assert {one['detail'] for one in report['runs']} == {'No such file or directory: /nowhere/pw.x'}


def test_equal_causes_count_as_one(folder: Path, program: Any, settings_of: Job) -> None:
    settings = settings_of(program(WRITES), ['', '', ''])
    (folder / 'frames').mkdir()
    for index in (0, 2):  # a file stands where the folder of the run should be
        (folder / pw_batch.frame_folder(index)).touch()
    report = run(settings, folder)
    assert statuses(report) == [RunStatus.FAILED, RunStatus.ENDED, RunStatus.FAILED]
    assert report['runs'][0]['detail'] == report['runs'][2]['detail'] == 'Not a directory'


def test_a_job_started_again_keeps_what_had_ended_and_cleans_what_had_not(folder: Path, program: Any, settings_of: Job) -> None:
    settings = settings_of(program(f'ls; {WRITES}'), ['first', 'second'])
    run({**settings, 'jobs': settings['jobs'][:1]}, folder)
    before = kept(folder, 0)
    stale = folder / pw_batch.frame_folder(1)
    stale.mkdir(parents=True)
    (stale / 'stale').touch()
    write_inputs(folder, {0: 'not run again', 1: 'second'})
    assert statuses(run(settings, folder)) == [RunStatus.ENDED] * 2
    assert kept(folder, 0) == before
    assert 'stale' not in kept(folder, 1)[pw_batch.STDOUT]


def test_nothing_starts_once_the_time_is_over(tmp_path: Path) -> None:
    allocation = Allocation(deadline=time.monotonic() + ENOUGH)
    allocation.end()
    with allocation.process(0, ['touch', str(tmp_path / 'started')]) as process:
        assert process is None
    assert not allocation.live
    assert not (tmp_path / 'started').exists()


def start_worker(folder: Path, settings: dict[str, Any]) -> subprocess.Popen[bytes]:
    (folder / files.SETTINGS).write_text(json.dumps(settings), encoding='utf-8')
    return subprocess.Popen([WORKER, 'label-pw'], cwd=folder, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize('sign', [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_is_ended_keeps_what_is_finished(
    folder: Path, program: Any, settings_of: Job, sign: signal.Signals
) -> None:
    script = f'{WRITES}; grep -q long {pw_batch.INPUT} && echo $$ > ../../pid && sleep 60; exit 0'
    worker = start_worker(folder, settings_of(program(script), ['short', 'long', 'short']))
    pid = folder / 'pid'
    wait_for(lambda: pid.exists() and pid.read_text(encoding='utf-8').strip().isdigit())
    worker.send_signal(sign)
    status = worker.wait(timeout=ENOUGH)
    assert list(results(folder)) == [0]
    child = int(pid.read_text(encoding='utf-8'))
    if sign is signal.SIGKILL:  # no report: the parser counts what left no archive as not started
        assert not (folder / files.REPORT).exists()
        os.killpg(child, signal.SIGKILL)
        return
    assert status == 0
    report = json.loads((folder / files.REPORT).read_text(encoding='utf-8'))
    assert statuses(report) == [RunStatus.ENDED, RunStatus.OUT_OF_TIME, RunStatus.NOT_STARTED]
    wait_for(lambda: not is_alive(child))
