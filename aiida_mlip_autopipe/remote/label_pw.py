"""Stage label with Quantum ESPRESSO: many runs of `pw.x` in one allocation, each in a folder of its own, each kept as it ends."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.batch import RunStatus
from aiida_mlip_autopipe.formats.frame_archive import FrameArchive, read_frame_archive

SAFETY: Final = 1.5
"""A frame is started only when this many times its predicted duration is left."""

KILL_DELAY: Final = 5.0
"""s between asking a run to end and ending it."""

POLL: Final = 0.05
"""s between looks at runs that were asked to end."""

ASKED_TO_END: Final = (-signal.SIGTERM, 128 + signal.SIGTERM)
"""Exit statuses of a run that the scheduler asked to end, together with the job or before it; the second one is a shell's."""


@dataclass(frozen=True)
class Run:
    """What became of one run of `pw.x`.

    :param seconds: wall time, s.
    """

    index: int
    status: RunStatus
    returncode: int | None = None
    seconds: float = 0.0
    detail: str = ''


@dataclass
class Allocation:
    """The processes that run now, and the time that is left.

    :param deadline: s on the monotonic clock, after which nothing may run.
    :param pace: s per unit of predicted cost, of the slowest run so far; 0 before one ended.
    """

    deadline: float
    pace: float = 0.0
    is_over: bool = False
    live: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has_room_for(self, cost: float) -> bool:
        """Whether a frame of this predicted cost will end in time."""
        return not self.is_over and time.monotonic() + SAFETY * self.pace * cost < self.deadline

    def learn(self, cost: float, seconds: float) -> None:
        """Take over how long a run took."""
        with self.lock:
            self.pace = max(self.pace, seconds / cost)

    @contextlib.contextmanager
    def process(self, index: int, command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes] | None]:
        """Start a process in a group of its own, and leave nothing of the group behind; None when the time is over."""
        with self.lock:  # so that `end` either prevents the start or knows the process
            started = None if self.is_over else subprocess.Popen(command, start_new_session=True, **options)
            if started is not None:
                self.live[index] = started
        try:
            yield started
        finally:
            if started is not None:
                _signal_group(started.pid, signal.SIGKILL)
                with self.lock:
                    del self.live[index]

    def end(self) -> None:
        """End every run, asking first."""
        with self.lock:
            self.is_over = True
            processes = list(self.live.values())
        for process in processes:
            _signal_group(process.pid, signal.SIGTERM)
        end = time.monotonic() + KILL_DELAY
        while time.monotonic() < end and any(process.returncode is None for process in processes):
            time.sleep(POLL)
        for process in processes:
            if process.returncode is None:
                _signal_group(process.pid, signal.SIGKILL)


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run `pw.x` for each frame as long as there is time, and return what became of each."""
    jobs: list[dict[str, Any]] = settings['jobs']
    allocation = Allocation(deadline=time.monotonic() + float(settings['time_limit']))
    with (folder / pw_batch.INPUTS).open('rb') as handle:
        inputs = read_frame_archive(handle)
    with (
        contextlib.closing(FrameArchive(folder / pw_batch.RESULTS, pw_batch.RESULT_SUFFIX)) as results,
        _ends_in_time(allocation, float(settings['time_limit'])),
        ThreadPoolExecutor(int(settings['concurrency'])) as pool,
    ):
        batch = Batch(folder, settings['command'], inputs, results, allocation)
        tasks = [pool.submit(batch.run_one, int(job['index']), float(job['cost'])) for job in jobs]
        runs = [task.result() for task in tasks]
    return {'runs': [asdict(one) for one in runs]}


@contextlib.contextmanager
def _ends_in_time(allocation: Allocation, seconds: float) -> Iterator[None]:
    """End the runs after this time, or when the scheduler asks the job to end, so that what is finished is reported."""
    timer = threading.Timer(seconds, allocation.end)
    timer.daemon = True
    before = signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=allocation.end, daemon=True).start())
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)


@dataclass(frozen=True, eq=False)
class Batch:
    """What the runs of a job share.

    :param folder: of the job.
    :param command: of one run.
    :param inputs: text for `pw.x` by index of the frame.
    """

    folder: Path
    command: Sequence[str]
    inputs: Mapping[int, bytes]
    results: FrameArchive
    allocation: Allocation

    def run_one(self, index: int, cost: float) -> Run:
        """Run one frame, keep its outputs and remove its wave functions."""
        if index in self.results:  # the scheduler started the job again: this run had ended by itself
            return Run(index, RunStatus.ENDED)
        if not self.allocation.has_room_for(cost):
            return Run(index, RunStatus.NOT_STARTED)
        scratch = self.folder / pw_batch.frame_folder(index)
        start = time.monotonic()
        try:
            self._prepare(scratch, index)
            returncode = _execute(self.command, scratch, index, self.allocation)
            seconds = time.monotonic() - start
            if returncode is None:
                return Run(index, RunStatus.NOT_STARTED)
            if returncode in ASKED_TO_END or (self.allocation.is_over and returncode != 0):
                return Run(index, RunStatus.OUT_OF_TIME, returncode, seconds)
            self.results.add(index, packed(scratch))
        except OSError as error:  # a full disk, a program that is not there: this frame failed, the others go on
            status = RunStatus.NO_PROGRAM if isinstance(error, FileNotFoundError | PermissionError) else RunStatus.FAILED
            return Run(index, status, seconds=time.monotonic() - start, detail=_cause(error, self.command[0]))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self.allocation.learn(cost, seconds)
        return Run(index, RunStatus.ENDED, returncode, seconds)

    def _prepare(self, scratch: Path, index: int) -> None:
        if scratch.exists():  # of a job that the scheduler started again
            shutil.rmtree(scratch)
        scratch.mkdir(parents=True)
        (scratch / pw_batch.INPUT).write_bytes(self.inputs[index])
        (scratch / pw_batch.PSEUDO).symlink_to(self.folder.resolve() / pw_batch.PSEUDO)


def _execute(command: Sequence[str], scratch: Path, index: int, allocation: Allocation) -> int | None:
    """Return the exit status of `pw.x`, or None when there was no time to start it."""
    words = [*command, '-in', pw_batch.INPUT]
    with (
        (scratch / pw_batch.STDOUT).open('wb') as out,
        (scratch / pw_batch.STDERR).open('wb') as err,
        allocation.process(index, words, cwd=scratch, stdin=subprocess.DEVNULL, stdout=out, stderr=err) as process,
    ):
        return None if process is None else process.wait()


def packed(scratch: Path) -> bytes:
    """Return what is to be kept of a run, compressed."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name in pw_batch.KEPT:
            if (scratch / name).is_file():
                archive.write(scratch / name, Path(name).name)
    return target.getvalue()


def _signal_group(group: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of it has ended
        os.killpg(group, sign)


def _cause(error: OSError, program: str) -> str:
    """Return why a run failed, without the paths that differ from frame to frame, so that equal causes count as one."""
    cause = error.strerror or str(error)
    return f'{cause}: {program}' if error.filename == program else cause
