"""From what LAMMPS left of one trajectory to its record: trace, frames beyond the training set, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.units import BAR
from aiida_mlip_autopipe.engines.ace.md_input import BOND_HALT, GRADE_COLUMN, GRADE_HALT, GRADE_MAX_COLUMN, TEMPERATURE_HALT
from aiida_mlip_autopipe.engines.lammps.dump import read_dump, structure_of
from aiida_mlip_autopipe.engines.lammps.log import LammpsLog, RunEnd, read_log
from aiida_mlip_autopipe.science.md.pool import CandidatePool
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, MdTrace, TrajectoryEnd, largest_temperature

TRACED: Final = (GRADE_MAX_COLUMN, 'Temp', 'PotEng', 'Press', 'Volume')
"""Columns of the thermodynamic output: grade, temperature (K), potential energy (eV), pressure (bar), volume (Å³)."""

_HALTS: Final[Mapping[str, TrajectoryEnd]] = MappingProxyType(
    {GRADE_HALT: TrajectoryEnd.GRADE, TEMPERATURE_HALT: TrajectoryEnd.TEMPERATURE, BOND_HALT: TrajectoryEnd.BOND}
)
_ENDS: Final[Mapping[RunEnd, TrajectoryEnd]] = MappingProxyType(
    {RunEnd.LOST_ATOMS: TrajectoryEnd.LOST_ATOMS, RunEnd.NOT_FINITE: TrajectoryEnd.TEMPERATURE}
)


@dataclass(frozen=True)
class PaceRun:
    """One trajectory.

    :param result: what it gave.
    :param end: how LAMMPS ended.
    """

    result: MdResult
    end: RunEnd


def read_run(
    output: str, dump: str, start: Atoms, elements: Sequence[str], settings: MdSettings, *, shift: float = 0.0
) -> PaceRun:
    """Return the record of a trajectory; what an exploded or killed one left counts as well.

    :param output: standard output and standard error of LAMMPS; empty when it never started.
    :param dump: frames with the grade of each atom; empty when there is none.
    :param start: start structure.
    :param elements: chemical symbols in the order of the atom types.
    :param settings: of the run.
    :param shift: eV, what LAMMPS's energies lack to be total energies.
    :raises FormatError: the output or the dump is not of such a run.
    """
    log = read_log(output)
    trace = _trace(log, settings.check_interval, shift)
    pool = CandidatePool(settings.max_candidates)
    for frame in _frames(dump, start, elements, settings):
        pool.add(frame)
    stop, message = _stop(log, trace, settings)
    if stop is TrajectoryEnd.FINISHED:
        stop, message = _windows(log, trace, start, settings)
    done = min(log.last_step or 0, settings.time_steps)
    return PaceRun(MdResult(pool.chosen(), stop, message, done, pool.n_seen, trace), log.end)


def _windows(log: LammpsLog, trace: MdTrace, start: Atoms, settings: MdSettings) -> tuple[TrajectoryEnd, str]:
    """Return the verdict on a run that LAMMPS finished: these windows are not watched on the way."""
    warm = trace.step >= settings.warmup
    limit = largest_temperature(max(settings.temperature, settings.final_temperature), len(start))
    if hot := trace.temperature[warm][trace.temperature[warm] > limit].tolist():
        return TrajectoryEnd.TEMPERATURE, f'temperature {hot[0]:.6g} K, above {limit:.6g} K'
    ratios = log.at_checks(TRACED, settings.check_interval)['Volume'] / start.cell.volume
    low, high = settings.volume_window
    if outside := ratios[(ratios < low) | (ratios > high)].tolist():
        return TrajectoryEnd.VOLUME, f'volume {outside[0]:.6g} of that of the start, outside of {low:g} to {high:g}'
    return TrajectoryEnd.FINISHED, ''


def _trace(log: LammpsLog, every: int, shift: float) -> MdTrace:
    columns = log.at_checks(TRACED, every)
    gamma = columns[GRADE_MAX_COLUMN]
    gamma = np.where(gamma < 0, np.nan, gamma)  # the largest of nothing but NaN is LAMMPS's smallest number
    energy = columns['PotEng'] + shift
    return MdTrace(columns['Step'].astype(np.int64), gamma, columns['Temp'], energy, columns['Press'] * BAR)


def _frames(dump: str, start: Atoms, elements: Sequence[str], settings: MdSettings) -> list[Atoms]:
    kept = []
    for frame in read_dump(dump, settings.check_interval):
        grades = frame.column(GRADE_COLUMN)
        if not (grades.max() > settings.gamma_select and np.isfinite(frame.values).all()):
            continue
        atoms = structure_of(frame, start, elements)
        atoms.info.update(gamma_max=float(grades.max()), step=frame.step)
        atoms.arrays['gamma'] = grades.copy()
        kept.append(atoms)
    return kept


def _stop(log: LammpsLog, trace: MdTrace, settings: MdSettings) -> tuple[TrajectoryEnd, str]:
    """Return why a trajectory ended and a sentence; LAMMPS's exit code is the same for a finished and a halted one."""
    if log.halt is not None and log.end is RunEnd.HALTED:
        reason = _HALTS.get(log.halt.fix, TrajectoryEnd.ERROR)
        return reason, f'fix halt {log.halt.fix} at step {log.halt.step}: {log.halt.value:.6g}'
    last = log.last_step or 0
    if log.end is RunEnd.CUT_SHORT:
        return TrajectoryEnd.ERROR, f'the output ends at step {last} of {settings.time_steps}: killed, or out of time'
    if log.end is not RunEnd.FINISHED:
        return _ENDS.get(log.end, TrajectoryEnd.ERROR), log.message
    if last >= settings.time_steps:
        return TrajectoryEnd.FINISHED, ''
    if len(trace.gamma_max) and trace.gamma_max[-1] > settings.gamma_halt:
        return TrajectoryEnd.GRADE, f'grade {trace.gamma_max[-1]:.6g} at step {last}, above gamma_halt {settings.gamma_halt:g}'
    return TrajectoryEnd.ERROR, f'LAMMPS ended at step {last} of {settings.time_steps} and does not say why'
