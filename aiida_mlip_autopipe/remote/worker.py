"""`mlip-worker STAGE`: runs one stage in the current folder, and writes a report or, in its place, what went wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

from aiida_mlip_autopipe.common.entry_points import OWN, full_name, load_plugin, registered
from aiida_mlip_autopipe.common.errors import InputError, MlipError
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.formats.files import CAN, CANNOT

GROUP: Final = 'mlip_autopipe.stages'
"""Entry points: of each stage a function `run(settings, folder)`, which returns the report."""

Stage = Callable[[dict[str, Any], Path], dict[str, Any]]


class StageSettings(dict[str, Any]):
    """Settings of a stage; a key that is missing is told to the user, who may have written the file."""

    def __missing__(self, key: str) -> Any:
        raise InputError(f'{files.SETTINGS}: the key {key!r} is missing')


def run_stage(name: str, folder: Path) -> int:
    """Return the exit status of a stage: 0 with a report, 1 with a record of the error.

    :param name: an entry point of :data:`GROUP`; one of this package without its prefix.
    :param folder: holds the settings and the inputs, and receives the outputs.
    """
    try:
        report = _stage(name)(_settings(folder), folder)
    except MlipError as error:
        record = {'kind': type(error).__name__, 'message': str(error)}
        (folder / files.ERROR).write_text(json.dumps(record), encoding='utf-8')
        sys.stderr.write(f'{record["kind"]}: {record["message"]}\n')
        return 1
    (folder / files.REPORT).write_text(json.dumps(report, allow_nan=False, indent=2, sort_keys=True), encoding='utf-8')
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stage that the command line names, and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (['-h'], ['--help']):
        sys.stdout.write(usage())
        raise SystemExit(0)
    if len(words) == 2 and words[0] == CAN:
        raise SystemExit(_can(words[1]))
    if len(words) != 1 or full_name(words[0]) not in registered(GROUP):
        sys.stderr.write(usage())
        raise SystemExit(2)
    raise SystemExit(run_stage(words[0], Path.cwd()))


def usage() -> str:
    """Return what the command takes."""
    stages = ', '.join(name.removeprefix(OWN) for name in registered(GROUP))
    return (
        f'usage: mlip-worker STAGE, in a folder with {files.SETTINGS}; STAGE is one of {stages}\n'
        f'   or: mlip-worker {CAN} ENGINE, exit status 0 where potentials of ENGINE (pod, pace) run, {CANNOT} with the reason\n'
    )


def _can(engine: str) -> int:
    from aiida_mlip_autopipe.engines.lammps.engine import engine_of  # noqa: PLC0415  # loads what a stage may not need

    try:
        engine_of(engine).require()
    except MlipError as error:
        sys.stderr.write(f'{error}\n')
        return CANNOT
    return 0


def _stage(name: str) -> Stage:
    return cast('Stage', load_plugin(GROUP, full_name(name)))


def _settings(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / files.SETTINGS).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise InputError(f'{folder / files.SETTINGS}: cannot be read: {error}') from error
    if not isinstance(values, dict):
        raise InputError(f'{folder / files.SETTINGS}: must hold a mapping, got {values!r}')
    return StageSettings(values)
