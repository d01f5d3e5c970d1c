"""Codes of the real Pacemaker and of a LAMMPS with ML-PACE for tests, and a potential to start from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiida import orm

from aiida_mlip_autopipe.cli.setup import ONE_THREAD
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace.potential import record_of
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from tests import pacemaker_data

REAL = 'MLIP_PACEMAKER'
"""Environment variable with the path of the real pacemaker; without it, that of `setup_profile.sh --test` is taken."""

ENVIRONMENT = Path(__file__).resolve().parents[1] / '.pacemaker'
"""Environment that `setup_profile.sh` makes. The `pacemaker` of our own environment has no TensorFlow."""

EAGER = pacemaker_data.FIXTURES / 'eager' / 'pacemaker'

REAL_PREPEND = 'MLIP_PACEMAKER_PREPEND'
"""Environment variable with a shell command that activates its environment; optional."""


REAL_LMP = 'MLIP_PACE_LMP'
"""Environment variable with the path of a LAMMPS that has ML-PACE; without it, that of `lmp` in `PATH`."""

REAL_LMP_PREPEND = 'MLIP_PACE_LMP_PREPEND'
"""Environment variable with a shell command that sets it up; optional."""

GRADE_STYLE = 'pace/extrapolation'

_HAS_STYLE = f"""
from aiida_mlip_autopipe.engines.lammps.library import lammps_class
lammps = lammps_class()(cmdargs=['-screen', 'none', '-log', 'none'])
print(lammps.has_style('pair', {GRADE_STYLE!r}))
"""


def installed(computer: orm.Computer, path: os.PathLike[str] | str, prepend: str) -> orm.InstalledCode:
    count = orm.QueryBuilder().append(orm.InstalledCode).count()
    return orm.InstalledCode(
        label=f'pacemaker-{count}', computer=computer, filepath_executable=str(path), prepend_text=prepend
    ).store()


def real_pacemaker() -> Path:
    """Return the path of the real pacemaker, or skip the test."""
    path = Path(os.environ.get(REAL, ENVIRONMENT / 'bin' / 'pacemaker'))
    if not path.exists():
        pytest.skip(f'{path} does not exist: ./setup_profile.sh --pacemaker makes it, or set {REAL} to the path of another one')
    return path


def real(computer: orm.Computer, prepend: str = '', *, eager: bool = True) -> orm.InstalledCode:
    """Return the code of the real pacemaker, or skip the test.

    :param prepend: commands that come after those that activate its environment.
    :param eager: without TensorFlow's graphs: half of the time for two elements and few steps; for one element, more than with.
    """
    program = real_pacemaker()
    first = f'export PATH="{program.parent}:$PATH"' if eager else ''
    commands = '\n'.join([os.environ.get(REAL_PREPEND, ''), first, ONE_THREAD, prepend])
    return installed(computer, EAGER if eager else program, commands)


def linear_potential(folder: Path, elements: list[str]) -> PotentialData:
    """Return a linear ACE potential of 40 functions for Al and Mg, as `mlip_autopipe.ace` makes it.

    :param folder: an empty folder for its files.
    """
    contents = pacemaker_data.files('linear_almg')
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    record = record_of(elements, 5.0, pacemaker_data.ALONE_ALMG, pacemaker_data.FINGERPRINT, contents)
    (folder / POTENTIAL_RECORD).write_text(record.to_json(), encoding='utf-8')
    return PotentialData.from_folder(folder)


def real_lmp(computer: orm.Computer) -> orm.InstalledCode:
    """Return the code of a LAMMPS program that lists the pair style with the grade, or skip the test."""
    path, prepend = os.environ.get(REAL_LMP) or shutil.which('lmp'), os.environ.get(REAL_LMP_PREPEND, '')
    if not path:
        pytest.skip(f'no lmp in PATH, and {REAL_LMP} is not set to its path')
    script = f'{prepend}\n"{path}" -h'
    told = subprocess.run(['bash', '-c', script], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout
    if GRADE_STYLE not in told.split():
        pytest.skip(f'{path} -h does not list {GRADE_STYLE}; {REAL_LMP} can name another LAMMPS')
    return installed(computer, path, prepend)


def has_pace_library() -> bool:
    """Whether the LAMMPS library of this environment, which is that of mlip-worker, has ML-PACE, of its own or of a plugin."""
    # In a process of its own: a plugin that was loaded once stays in its process.
    done = subprocess.run([sys.executable, '-c', _HAS_STYLE], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1] == 'True'
