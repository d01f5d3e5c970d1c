"""What LAMMPS prints: thermodynamic output, warnings, errors and how a run ended, which its exit code alone does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import FloatArray

STEP: Final = 'Step'
"""Header of the first column of thermodynamic output."""


class RunEnd(StrEnum):
    """How a run ended; a halted one returns 0 like a finished one, unless `fix halt` says `error hard`."""

    FINISHED = 'finished'
    HALTED = 'halted'
    LOST_ATOMS = 'lost_atoms'
    NOT_FINITE = 'not_finite'
    STYLE_MISSING = 'style_missing'
    ERROR = 'error'
    CUT_SHORT = 'cut_short'


@dataclass(frozen=True)
class Halt:
    """What `fix halt` says when it stops a run.

    :param fix: identifier of the fix.
    :param step: time step.
    :param value: of the quantity that the fix watches.
    """

    fix: str
    step: int
    value: float


@dataclass(frozen=True, eq=False)
class ThermoBlock:
    """Thermodynamic output of one `run` command.

    :param columns: headers.
    :param rows: values in LAMMPS's units, shape (n_rows, n_columns).
    """

    columns: tuple[str, ...]
    rows: FloatArray


@dataclass(frozen=True, eq=False)
class LammpsLog:
    """What was read from a log file or from the standard output.

    :param end: how the run ended.
    :param message: the error, with the line of input that caused it where LAMMPS names it; empty without an error.
    :param halt: first message of a `fix halt`, or None.
    :param thermo: one block for each `run` command that printed something.
    :param warnings: without repetition, in the order of their first appearance.
    """

    end: RunEnd
    message: str
    halt: Halt | None
    thermo: tuple[ThermoBlock, ...]
    warnings: tuple[str, ...]

    @property
    def last_step(self) -> int | None:
        """The last time step of which thermodynamic output was printed."""
        return int(self.thermo[-1].rows[-1, 0]) if self.thermo else None

    def at_checks(self, names: Sequence[str], every: int) -> dict[str, FloatArray]:
        """Return columns at the steps that are multiples of `every`, each step once, in the order of time.

        LAMMPS prints what a fix computed last, without a word, at the steps between two checks: such rows are left out.

        :param names: headers of the columns; the step is always among the result.
        :param every: steps between two checks.
        :raises FormatError: a block has no such column.
        """
        wanted = (STEP, *names)
        parts = [_pick(block, wanted) for block in self.thermo]
        values = np.concatenate(parts) if parts else np.zeros((0, len(wanted)))
        fresh = values[values[:, 0] % every == 0]
        latest = {int(row[0]): index for index, row in enumerate(fresh)}
        chosen = fresh[[latest[step] for step in sorted(latest)]]
        return {name: chosen[:, column].copy() for column, name in enumerate(wanted)}


_HALT: Final = re.compile(r'Fix halt condition for fix-id (\S+) met on step (\d+) with value (\S+)')
_SOURCE: Final = re.compile(r'\s*\(\S+\.(?:cpp|h):\d+\)\s*$')
_LAST_INPUT: Final = re.compile(r'^Last (?:input line|command): *(.*)$', re.MULTILINE)
_WARNING: Final = re.compile(r'^WARNING: *(.*)$', re.MULTILINE)
_END: Final = re.compile(r'^Total wall time:', re.MULTILINE)

_MESSAGES: Final = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r'^ERROR(?: on proc \d+)?: *(.*)$',
        r'^(Exception: .*)$',  # what LAMMPS prints for an exception of a library such as that of ACE
        r'^(?:terminate called.*\n)? *what\(\): *(.*)$',
        r'^(.*error while loading shared libraries: .*)$',
        r'^(terminate called.*)$',
        r'^(.*(?:Segmentation fault|BAD TERMINATION|out of memory|oom-kill|OOM Killed|DUE TO TIME LIMIT).*)$',
        r'^(.*(?:KILLED BY SIGNAL|exited on signal).*)$',
        r'^(Abort\(\d+\) on node.*)$',
        r'^(.*: (?:No such file or directory|command not found|Permission denied))$',  # of the shell that starts LAMMPS
    )
)
"""Messages that end LAMMPS, the most telling first; most of them do not hold the word ERROR."""

_KINDS: Final = (
    (re.compile(r'Lost atoms|Atoms? lost|atoms missing'), RunEnd.LOST_ATOMS),
    (re.compile(r'Non-numeric|at the line "-?nan '), RunEnd.NOT_FINITE),
    (re.compile(r'(?:Unrecognized|Unknown|Invalid) pair style'), RunEnd.STYLE_MISSING),
)

_STYLE: Final = re.compile(r"pair style '?([^\s']+)'?(?: is part of the (\S+) package)?")


def read_log(text: str) -> LammpsLog:
    """Return what a log file or the standard output says; a last line without its end is not read.

    :param text: log file, or standard output and standard error together.
    """
    whole = text[: text.rfind('\n') + 1]
    halted = _HALT.search(whole)
    halt = Halt(halted[1], int(halted[2]), float(halted[3])) if halted else None
    message = _message(text)
    return LammpsLog(
        end=_end(whole, message, halt),
        message='' if halt is not None and _HALT.search(message) else message,
        halt=halt,
        thermo=tuple(_blocks(whole.splitlines())),
        warnings=tuple(dict.fromkeys(_SOURCE.sub('', found) for found in _WARNING.findall(whole))),
    )


def missing_style(message: str) -> tuple[str, str] | None:
    """Return pair style and package that a message says LAMMPS lacks, or None; the package is empty when it is not named."""
    found = _STYLE.search(message)
    return None if found is None else (found[1], found[2] or '')


def _message(text: str) -> str:
    for pattern in _MESSAGES:
        if found := pattern.search(text):
            cause = _SOURCE.sub('', found[1]).strip()
            line = _LAST_INPUT.search(text, found.end())
            return f'{cause} (at the line "{line[1].strip()}")' if line and line[1].strip() else cause
    return ''


def _end(text: str, message: str, halt: Halt | None) -> RunEnd:
    if message and not _HALT.search(message):
        return next((kind for pattern, kind in _KINDS if pattern.search(message)), RunEnd.ERROR)
    if halt is not None:
        return RunEnd.HALTED
    return RunEnd.FINISHED if _END.search(text) else RunEnd.CUT_SHORT


def _blocks(lines: Sequence[str]) -> Iterator[ThermoBlock]:
    """Yield the blocks of numbers below a header; other lines within a block, such as warnings, are passed over."""
    columns: tuple[str, ...] = ()
    rows: list[list[float]] = []
    for line in lines:
        words = line.split()
        if words[:1] == [STEP]:
            if rows:
                yield ThermoBlock(columns, np.array(rows))
            columns, rows = tuple(words), []
        elif line.startswith('Loop time'):
            if rows:
                yield ThermoBlock(columns, np.array(rows))
            columns, rows = (), []
        elif columns and (row := _numbers(words)) and len(row) == len(columns):
            rows.append(row)
    if rows:
        yield ThermoBlock(columns, np.array(rows))


def _numbers(words: Sequence[str]) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def _pick(block: ThermoBlock, names: Sequence[str]) -> FloatArray:
    missing = [name for name in names if name not in block.columns]
    if missing:
        raise FormatError(f'thermodynamic output has no column {", ".join(missing)}; it has {", ".join(block.columns)}')
    return block.rows[:, [block.columns.index(name) for name in names]]
