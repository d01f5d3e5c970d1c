"""What a run of Pacemaker says about itself: log, learning curve, and which failure it was."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import FloatArray

NAN_STATUS: Final = 3
"""Status of the optimizer that met a number that is not finite; 1, the iterations are used up, is the normal end."""

KILLED, TERMINATED = 137, 143
"""Exit statuses of a process that was ended from outside, by SIGKILL (mostly for its memory) and by SIGTERM."""

NUMBER = r'([-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|nan|inf))'
ITERATION = re.compile(r'- Iteration +#\d+ +\(\d+ evals\): +Loss: +' + NUMBER)
FIT_STATS = re.compile(r'^-+FIT STATS-+$', re.MULTILINE)
"""Title of the long entry that takes the place of the iteration line every `display_step`."""

LOSS = re.compile(r'Loss: +(?:Total: +)?' + NUMBER)
OPTIMIZED = re.compile(r'Optimization result\(success=(?:True|False), status=(-?\d+), message=(.*), nfev=\d+, njev=\d+\)')
SIZE = re.compile(r'Fitting dataset size: (\d+) structures / (\d+) atoms')
VERSION = re.compile(r'pacemaker/pyace version: (\S+)')
AUTO_KAPPA = re.compile(r'kappa automatically selected: kappa = ([\d.]+)')
EXCEPTION = re.compile(r'^(?:[\w.]*(?:Error|Exception|BadGzipFile|DistributionNotFound))(?::.*)?$')
TRACEBACK: Final = 'Traceback (most recent call last)'
RE_REFERENCED: Final = ('`reference_energy` will be computed automatically', 'Reference energy is provided, constructing')
NOTHING_ADDED: Final = 'No new function added after basis extension'
GAMMA: Final = re.compile(r'Element: (\w+), Active set inv\. shape: \((\d+), \d+\), gamma_max: ([\d.]+|nan|inf)')


class Failure(enum.Enum):
    """Ways in which a run of Pacemaker fails, by what can be done about it."""

    INSTALLATION = 'a Python package of the installation of Pacemaker is missing or broken'
    SETTINGS_REFUSED = 'Pacemaker refused input.yaml'
    INPUT_UNREADABLE = 'input.yaml is not valid YAML'
    DATA_COLUMN_MISSING = 'the data set lacks a column'
    DATA_NOT_FINITE = 'the data set holds a number that is not finite'
    DATA_UNREADABLE = 'the data set is missing, or was not written for this pandas and NumPy'
    DATA_EMPTY = 'the data set holds no structure'
    DATA_SHAPE = 'the forces of a structure do not have three components for each atom'
    MIXED_BOUNDARIES = 'a structure is periodic in some directions only'
    REFERENCE_REPLACED = 'Pacemaker replaced the reference energies, so that its energies are not above the isolated atoms'
    LOSS_NOT_FINITE = 'the loss is not finite: atoms that coincide, or labels that are far too large'
    NO_ITERATIONS = 'the fit ended without a single iteration'
    NOTHING_TO_FIT = 'there was nothing to fit: the basis did not grow, or the potential counts as finished'
    OUT_OF_MEMORY = 'the memory did not suffice; a smaller batch_size needs less'
    CUT_SHORT = 'the run was ended from outside'
    RUN_FAILED = 'Pacemaker failed'
    POTENTIAL_MISSING = 'Pacemaker ended without writing output_potential.yaml'


CAUSES: Final[tuple[tuple[str, Failure], ...]] = (
    (r"No module named 'numpy\._core|issubclass\(\) arg 1 must be a class|Unpickling", Failure.DATA_UNREADABLE),
    (r'BadGzipFile|FileNotFoundError.*\.(?:pckl|pkl)', Failure.DATA_UNREADABLE),
    (r'ModuleNotFoundError|ImportError|DistributionNotFound', Failure.INSTALLATION),
    (r'(?:Scanner|Parser|Composer|Constructor|DuplicateKey)Error', Failure.INPUT_UNREADABLE),
    (
        r"No 'cutoff' provided|'data' section is not|'potential' section is not|has no attribute 'query_data'",
        Failure.SETTINGS_REFUSED,
    ),
    (r"Unknown evaluator type|Unknown optimizer|'int' object is not iterable|Couldn't combine", Failure.SETTINGS_REFUSED),
    (r"unexpected keyword argument|[Uu]nknown weighting|Weighting 'type'", Failure.SETTINGS_REFUSED),
    (r"Neither 'energy_corrected' column|Column `\w+`.* not found|no 'ase_atoms' column", Failure.DATA_COLUMN_MISSING),
    (r'contains NaN', Failure.DATA_NOT_FINITE),
    (r'Columns must be same length as key|empty dataset', Failure.DATA_EMPTY),
    (r'forces has wrong shape', Failure.DATA_SHAPE),
    (r'Only fully periodic or non-periodic', Failure.MIXED_BOUNDARIES),
    (r'ResourceExhausted|MemoryError|OOM when allocating', Failure.OUT_OF_MEMORY),
)
"""Patterns of the last line of a traceback; the first that is found decides."""

HINTS: Final = {
    "'Namespace' object has no attribute 'query_data'": 'input.yaml has no section potential or backend',
    "'int' object is not iterable": 'a key of potential.functions is not what Pacemaker expects',
    "KeyError: 'energy'": 'it wanted to compute references of its own, for which there is no column energy',
}
"""What Pacemaker means by errors that do not say it."""


@dataclass(frozen=True)
class RunSummary:
    """What the log of a run says.

    :param n_iterations: entries of iterations; with ladder steps of all of them.
    :param last_loss: the last loss that was printed, or None.
    :param status: of the last optimization, or None; 1 is the normal end.
    :param message: of the last optimization.
    :param n_structures: structures that were fitted, or None; energy-based weights leave some out.
    :param n_atoms: their atoms, or None.
    :param kappa: the kappa that `auto` came to, or None.
    :param version: of Pacemaker, or empty.
    :param is_re_referenced: whether Pacemaker subtracted reference energies of its own.
    :param exception: last line of the traceback, or empty.
    """

    n_iterations: int
    last_loss: float | None
    status: int | None
    message: str
    n_structures: int | None
    n_atoms: int | None
    kappa: float | None
    version: str
    is_re_referenced: bool
    exception: str


def read_log(text: str) -> RunSummary:
    """Return what the log says; works on a log that was cut short.

    :param text: the standard error of Pacemaker, which is the log with the traceback at its end.
    """
    losses, optimized, size = LOSS.findall(text), OPTIMIZED.findall(text), SIZE.search(text)
    version, kappa = VERSION.search(text), AUTO_KAPPA.search(text)
    return RunSummary(
        n_iterations=len(ITERATION.findall(text)) + len(FIT_STATS.findall(text)),
        last_loss=float(losses[-1]) if losses else None,
        status=int(optimized[-1][0]) if optimized else None,
        message=optimized[-1][1] if optimized else '',
        n_structures=int(size.group(1)) if size else None,
        n_atoms=int(size.group(2)) if size else None,
        kappa=float(kappa.group(1)) if kappa else None,
        version=version.group(1) if version else '',
        is_re_referenced=any(sentence in text for sentence in RE_REFERENCED),
        exception=_exception(text),
    )


def _exception(text: str) -> str:
    """Return the error of the last traceback in one line, with what stands below it."""
    _, found, tail = text.rpartition(TRACEBACK)
    lines = [line.strip() for line in tail.splitlines()] if found else []
    starts = [index for index, line in enumerate(lines) if EXCEPTION.match(line)]
    return ' '.join(line for line in lines[starts[-1] :] if line) if starts else ''


def judge(run: RunSummary, return_code: int | None, text: str = '', *, has_potential: bool) -> tuple[Failure, str] | None:
    """Return the failure of a run with a sentence, or None for a success.

    Success: return code 0, a potential, a finite last loss, status other than 3, and iterations. None of them alone is enough:
    Pacemaker returns 0 after a loss that is not a number, and 1 after a fit whose plots could not be drawn.

    :param return_code: of the process; None when the job ended before it.
    :param text: the log.
    :param has_potential: whether the final potential was written.
    """
    if return_code is None or return_code == TERMINATED:
        return Failure.CUT_SHORT, f'{_progress(run)}; the walltime or a signal ended it'
    if run.status == NAN_STATUS or (run.last_loss is not None and not math.isfinite(run.last_loss)):
        return Failure.LOSS_NOT_FINITE, f'last loss {run.last_loss}, {_progress(run)}, status {run.status}: {run.message}'
    if return_code != 0:
        return _failed(run, return_code, text)
    return _silent_failure(run, has_potential=has_potential)


def _silent_failure(run: RunSummary, *, has_potential: bool) -> tuple[Failure, str] | None:
    """Return what is wrong with a run that returned 0."""
    if run.is_re_referenced:
        return Failure.REFERENCE_REPLACED, f'energies outside -20 to 250 eV/atom, or a key reference_energy; {_progress(run)}'
    if not has_potential:
        return Failure.POTENTIAL_MISSING, f'return code 0, {_progress(run)}'
    if run.n_iterations == 0 or run.last_loss is None:
        return Failure.NO_ITERATIONS, f'status {run.status}: {run.message or "no optimization was reported"}'
    return None


def _progress(run: RunSummary) -> str:
    return f'after {run.n_iterations} iterations'


def _failed(run: RunSummary, return_code: int, text: str) -> tuple[Failure, str]:
    cause = run.exception or _last_line(text) or 'nothing on standard error'
    sentence = f'return code {return_code}, {_progress(run)}: {cause}'
    hint = next((hint for part, hint in HINTS.items() if part in cause), '')
    sentence += f' ({hint})' if hint else ''
    if run.is_re_referenced and "KeyError: 'energy'" in cause:
        return Failure.REFERENCE_REPLACED, sentence
    if return_code == KILLED:
        return Failure.OUT_OF_MEMORY, sentence
    if (NOTHING_ADDED in text and run.n_iterations == 0) or 'Number of finished fit cycles' in text:
        return Failure.NOTHING_TO_FIT, sentence
    return next((failure for pattern, failure in CAUSES if re.search(pattern, cause)), Failure.RUN_FAILED), sentence


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ''


def read_metrics(text: str) -> dict[str, FloatArray]:
    """Return the columns of a metrics file, one row for each iteration; energies in eV/atom, forces in eV/Å.

    A last row that was cut off in the middle is left out. Without a row, as in the file of a test set that there was not, there
    is no column either.

    :raises FormatError: no header, rows of different length, or a value that is no number.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or lines[0][:1] != ['ladder_step']:
        raise FormatError(
            f'metrics: the header must begin with ladder_step, found {" ".join(lines[0][:3]) if lines else "nothing"}'
        )
    header, rows = lines[0], lines[1:]
    if rows and len(rows[-1]) < len(header):
        rows = rows[:-1]
    if not rows:
        return {}
    if wrong := [number for number, row in enumerate(rows, start=2) if len(row) != len(header)]:
        raise FormatError(f'metrics: row {wrong[0]} has {len(rows[wrong[0] - 2])} values, the header names {len(header)} columns')
    try:
        table = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise FormatError(f'metrics: a value is no number: {error}') from error
    return {name: table[:, index] for index, name in enumerate(header)}


def last_errors(curve: dict[str, FloatArray]) -> dict[str, float]:
    """Return the errors of the last iteration: `energy_rmse` in eV/atom, `force_rmse` in eV/Å for each component.

    :raises FormatError: a column is missing.
    """
    names: Sequence[tuple[str, str]] = (('energy_rmse', 'rmse_epa'), ('force_rmse', 'rmse_f_comp'))
    if missing := [column for _, column in names if column not in curve]:
        raise FormatError(f'metrics: no column {missing[0]}; there are {sorted(curve)}')
    return {name: float(curve[column][-1]) for name, column in names}


def largest_grade(text: str) -> float | None:
    """Return the largest grade on the atoms that the active set was chosen from, or None when the log does not say.

    :param text: log of `pace_activeset`.
    """
    grades = [float(value) for _, _, value in GAMMA.findall(text)]
    return max(grades) if grades else None
