"""The folder of a potential as a stage finds and leaves it."""

from __future__ import annotations

from pathlib import Path

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.formats.files import POTENTIAL, POTENTIAL_RECORD


def potential_folder(folder: Path) -> Path:
    """Return the folder of the potential inside the folder of the job, made when missing."""
    path = folder / POTENTIAL
    path.mkdir(exist_ok=True)
    return path


def write_record(folder: Path, record: PotentialRecord) -> None:
    """Write the record beside the files of a potential."""
    (potential_folder(folder) / POTENTIAL_RECORD).write_text(record.to_json(), encoding='utf-8')


def read_potential(folder: Path) -> LammpsPotential:
    """Return the potential of a job as LAMMPS loads it; its paths are relative to :func:`potential_folder`.

    :raises InputError: the record is missing.
    :raises FormatError: the record cannot be read.
    """
    path = potential_folder(folder) / POTENTIAL_RECORD
    if not path.exists():
        raise InputError(f'{POTENTIAL}/{POTENTIAL_RECORD}: the record of the potential is missing')
    return lammps_potential(PotentialRecord.from_json(path.read_text(encoding='utf-8')))


def lammps_potential(record: PotentialRecord) -> LammpsPotential:
    """Return the potential of a record as LAMMPS loads it; its paths are relative to the folder of its files."""
    return LammpsPotential(
        elements=record.elements,
        pair_lines=record.pair_lines,
        cutoff=record.cutoff,
        grade_lines=record.grade_lines,
        active_set=Path(record.active_set) if record.active_set else None,
        engine=record.engine,
        energy_shift=record.energy_shift,
    )
