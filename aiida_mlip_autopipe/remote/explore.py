"""Stage explore: one trajectory from each start; frames that the potential does not know come back as candidates."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError, InstallationError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.engines.lammps.dynamics import run_md
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.formats.restarts import RESTARTS, restart_file
from aiida_mlip_autopipe.remote.inputs import read_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.md.findings import Findings
from aiida_mlip_autopipe.science.md.journal import newest_restart, read_journal
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, velocity_seeds

ENDED = 'the job was told to end (SIGTERM); the scheduler does so at the end of the walltime'


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write candidates and traces after each trajectory, and return one entry for each of them.

    :raises InstallationError: LAMMPS is missing, or lacks what the potential needs: no start would fare better.
    """
    config = Explorer.of(settings['settings'])
    potential, starts = read_potential(folder), read_frames(folder, 'starts')
    found = Findings(config.max_atoms, potential.cutoff, settings['round'])
    seeds = velocity_seeds(settings['seed'], settings['round'], len(starts))
    for index, (start, seed) in enumerate(zip(starts, seeds, strict=True)):
        journal = folder.resolve() / f'trajectory_{index:03d}'
        journal.mkdir(exist_ok=True)
        conditions = config.conditions(settings['temperature'], settings.get('pressure'), seed, journal=str(journal))
        try:
            result, message = _trajectory(start, potential, conditions, folder)
        except SystemExit:
            found.add(start, conditions, _cut_short(read_journal(journal, start, conditions, ENDED)), ENDED)
            _write(found, folder, index, journal)
            raise
        found.add(start, conditions, result, message)
        _write(found, folder, index, journal)
    return found.report


def _trajectory(start: Atoms, potential: LammpsPotential, conditions: MdSettings, folder: Path) -> tuple[MdResult | None, str]:
    """Return the outcome of one run, or what its journal holds of a run whose process crashed, and a message."""
    try:
        result = isolated(partial(run_md, start, potential, conditions), potential_folder(folder))
    except InstallationError:
        raise
    except (EngineError, InputError) as error:
        return read_journal(Path(conditions.journal), start, conditions, str(error)), str(error)
    return result, result.message


def _cut_short(result: MdResult | None) -> MdResult | None:
    """Return a run that somebody ended: what it was about to do is no failure of the potential."""
    return None if result is None else dataclasses.replace(result, before_failure=[])


def _write(found: Findings, folder: Path, index: int, journal: Path) -> None:
    """Write what was found so far, and keep the restart file of the trajectory that ended last."""
    if found.candidates:
        Frames.from_atoms(found.candidates).save(folder / arrays_file('candidates'))
        _save(folder / arrays_file('candidate_grades'), {'gamma': np.concatenate(found.grades)})
    if found.uncut:
        Frames.from_atoms(found.uncut).save(folder / arrays_file('uncut'))
    _save(folder / arrays_file('trajectories'), found.traces)
    if (newest := newest_restart(journal)) is not None:
        (folder / RESTARTS).mkdir(exist_ok=True)
        newest.replace(folder / RESTARTS / restart_file(index))


def _save(path: Path, arrays: dict[str, FloatArray]) -> None:
    with path.open('wb') as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`
