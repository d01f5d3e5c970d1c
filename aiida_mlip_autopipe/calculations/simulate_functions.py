"""Calcfunctions around a `lammps.raw` of aiida-lammps: its input out of a potential and structures, and what came of it."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.lammps.data import data_text, masses_of
from aiida_mlip_autopipe.engines.lammps.simulation import Simulation
from aiida_mlip_autopipe.engines.lammps.simulation_files import (
    SCRIPT,
    data_file,
    dump_file,
    read_averages,
    read_end,
    simulation_script,
)

SCRIPT_PORT: Final = 'script'
OUTPUT: Final = 'lammps.out'
"""File of the standard output, as aiida-lammps names it."""

UNREADABLE: Final = 310
"""Exit status of a simulation that did not come to its end."""


@calcfunction
def lammps_inputs(potential: PotentialData, frames: FramesData, settings: orm.Dict) -> dict[str, orm.SinglefileData]:
    """Return the input script and, as `file_000`, …, the files of the potential and of the structures.

    :param settings: as `Simulation`.
    """
    simulation, record = Simulation.from_mapping(settings.get_dict()), potential.record
    text = simulation_script(len(frames), record.pair_lines, masses_of(record.elements), simulation)
    files = list(potential.lammps_files().values())
    for index, atoms in enumerate(frames.frames):
        files.append(orm.SinglefileData.from_string(data_text(atoms, record.elements), filename=data_file(index)))
    nodes = {f'file_{number:03d}': node for number, node in enumerate(files)}
    return {SCRIPT_PORT: orm.SinglefileData.from_string(text, filename=SCRIPT), **nodes}


def wanted_files(n_frames: int) -> list[str]:
    """Return the names of the files that are to come back beside the standard output."""
    return [dump_file(index) for index in range(n_frames)]


@calcfunction
def read_lammps(
    potential: PotentialData, frames: FramesData, settings: orm.Dict, retrieved: orm.FolderData
) -> dict[str, orm.Data] | ExitCode:
    """Return the structures at their end and the averages of each, with total energies.

    :param retrieved: what came back of the job.
    """
    simulation, record = Simulation.from_mapping(settings.get_dict()), potential.record
    read = retrieved.base.repository.get_object_content
    try:
        averages = read_averages(read(OUTPUT), len(frames), simulation)
        ends = [read_end(read(dump_file(i)), start, record.elements) for i, start in enumerate(frames.frames)]
    except (FormatError, OSError) as error:
        return ExitCode(UNREADABLE, str(error))
    told: list[dict[str, Any]] = []
    for start, end, found in zip(frames.frames, ends, averages, strict=True):
        shift = sum(record.energy_shift.get(symbol, 0.0) for symbol in start.symbols)
        told.append(dataclasses.replace(found, energy=found.energy + shift).to_dict())
        end.info.update({name: start.info[name] for name in ('config_type', 'origin') if name in start.info})
    return {'ends': FramesData(Frames.from_atoms(ends)), 'report': orm.Dict({'averages': told})}
