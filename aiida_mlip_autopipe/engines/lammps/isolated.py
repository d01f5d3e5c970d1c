"""`isolated`: a call in a child process of its own, because LAMMPS and pyace can end the process that they run in."""

from __future__ import annotations

import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from aiida_mlip_autopipe.common.errors import EngineError, MlipError
from aiida_mlip_autopipe.engines.lammps.child import run_in_child

Result = TypeVar('Result')

FAILED: Final = 3
"""Exit code of a child whose answer is an error that is meant for the user."""


def isolated(call: Callable[[], Result], folder: Path, *, timeout: float | None = None) -> Result:
    """Return what a call returns in a child process, or raise the error of this package that it raises there.

    :param call: a `functools.partial` of a function of a module; it and its result travel as pickles.
    :param folder: working directory of the child.
    :param timeout: s, or None.
    :raises EngineError: the child crashed, exceeded the time limit, or raised another error than those of this package.
    """
    with tempfile.TemporaryDirectory(prefix='.call_', dir=folder) as place:
        question, answer = Path(place).resolve() / 'call', Path(place).resolve() / 'answer'
        question.write_bytes(pickle.dumps(call))
        try:
            # -P: the working directory must not shadow Python's modules
            run_in_child([sys.executable, '-P', '-m', __name__, str(question), str(answer)], folder=folder, timeout=timeout)
        except EngineError:
            if not answer.exists():
                raise
        found = pickle.loads(answer.read_bytes())  # our own child wrote it, into a folder of this call
    if isinstance(found, MlipError):
        raise found
    result: Result = found
    return result


def main(arguments: list[str] | None = None) -> int:
    """Make the call and return the exit code: 0, or 3 when the answer is an error.

    :param arguments: the files of the call and of the answer.
    """
    question, answer = (Path(word) for word in (sys.argv[1:] if arguments is None else arguments))
    found: object
    try:
        found = pickle.loads(question.read_bytes())()  # our own parent wrote it
    except MlipError as error:
        found = error
    part = answer.with_suffix('.part')  # an answer that is there is whole
    part.write_bytes(pickle.dumps(found))
    part.rename(answer)
    return FAILED if isinstance(found, MlipError) else 0


if __name__ == '__main__':
    sys.exit(main())
