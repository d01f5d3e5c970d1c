"""Stage simulate: relaxations or plain MD of frames with a potential, and the averages over them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.simulate import simulate_each
from aiida_mlip_autopipe.engines.lammps.simulation import Simulation
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote.inputs import read_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential

METADATA = ('config_type', 'origin')
"""What a structure keeps of its start."""


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the structures at the end and return the averages.

    :raises InputError: settings with a mistake, or a structure that the potential cannot run.
    :raises EngineError: LAMMPS fails.
    """
    simulation = Simulation.from_mapping(settings['settings'])
    frames = read_frames(folder, 'frames')
    done = isolated(partial(simulate_each, frames, read_potential(folder), simulation), potential_folder(folder))
    ends = [_ended(start, one.atoms) for start, one in zip(frames, done, strict=True)]
    Frames.from_atoms(ends).save(folder / arrays_file('ends'))
    return {'averages': [one.averages.to_dict() for one in done]}


def _ended(start: Atoms, end: Atoms) -> Atoms:
    atoms = Atoms(numbers=end.numbers, positions=end.positions, cell=end.cell, pbc=True)
    atoms.info.update({name: start.info[name] for name in METADATA if name in start.info})
    return atoms
