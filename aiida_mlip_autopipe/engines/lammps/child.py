"""Running a command as a child process that can crash without harm and that never outlives its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.engines.lammps.library import child_environment

PR_SET_PDEATHSIG: Final = 1
"""Linux: option of `prctl` that sets the signal which the process gets when its parent ends."""

TAIL_LINES: Final = 15
"""Lines of the standard error output that an error message quotes."""

KILL_WAIT: Final = 10.0
"""s, how long a killed child may take to disappear."""


def run_in_child(
    arguments: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Return the standard output of a command that ran as a child process.

    The child has its own process group, which is killed when this function is left in any way, SIGTERM included; the child
    itself is killed by the kernel when the calling thread ends, even by SIGKILL.

    :param folder: working directory of the child.
    :param environment: of the child; by default the one in which it finds LAMMPS.
    :param timeout: s, or None.
    :raises EngineError: the child could not be started, crashed, returned a code other than 0 or exceeded the time limit.
    """
    settings = child_environment() if environment is None else dict(environment)
    with _term_as_exit():
        try:
            process = subprocess.Popen(
                list(arguments),
                cwd=folder,
                env=settings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors='replace',
                start_new_session=True,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509  # it makes one system call and takes no lock
            )
        except OSError as error:
            raise EngineError(f'{arguments[0]} could not be started: {error}') from error
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise EngineError(f'{_name(arguments)} exceeded its time limit of {timeout} s') from error
        finally:
            _kill_group(process)
    if process.returncode != 0:
        raise EngineError(f'{_name(arguments)} {_cause(process.returncode)}{_tail(errors)}')
    return output


def _die_with_parent() -> Callable[[], None]:
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def arrange() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # the parent ended before the call
            os._exit(1)

    return arrange


@contextmanager
def _term_as_exit() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that the process group is cleaned up; signals can be set in the main thread only."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _kill_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=KILL_WAIT)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _name(arguments: Sequence[str]) -> str:
    return ' '.join(Path(part).name if index == 0 else part for index, part in enumerate(arguments[:4]))


def _cause(code: int) -> str:
    if code >= 0:
        return f'ended with exit code {code}'
    try:
        return f'crashed with signal {signal.Signals(-code).name}'
    except ValueError:
        return f'crashed with signal {-code}'


def _tail(errors: str) -> str:
    lines = [line for line in errors.strip().splitlines() if line.strip()]
    return ': ' + '\n'.join(lines[-TAIL_LINES:]) if lines else ''
