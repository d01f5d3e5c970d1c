"""Codes of Pacemaker for tests: stand-ins that replay recorded runs, and the real programs where they are configured."""

import os
import shutil
import subprocess
import sys

import pytest
from aiida import orm

from tests.pacemaker_data import BIN

REAL = 'MLIP_PACEMAKER'
"""Environment variable with the path of the real pacemaker; without it, `PATH` is looked through."""

REAL_PREPEND = 'MLIP_PACEMAKER_PREPEND'
"""Environment variable with a shell command that activates its environment; optional."""


REAL_LMP = 'MLIP_PACE_LMP'
"""Environment variable with the path of a LAMMPS that has ML-PACE; without it, that of `lmp` in `PATH`."""

REAL_LMP_PREPEND = 'MLIP_PACE_LMP_PREPEND'
"""Environment variable with a shell command that sets it up; optional."""

GRADE_STYLE = 'pace/extrapolation'

_HAS_STYLE = f"""
from aiida_mlip_autopipe.science.lammps_library import lammps_class
lammps = lammps_class()(cmdargs=['-screen', 'none', '-log', 'none'])
print(lammps.has_style('pair', {GRADE_STYLE!r}))
"""


def stand_in(computer: orm.Computer, case: str = 'fit_al', broken: str = '') -> orm.InstalledCode:
    """Return a code that replays a recorded run, with something broken on top of it when asked for."""
    lines = [
        f'export MLIP_PACEMAKER_CASE={case}',
        f'export MLIP_PACEMAKER_BREAK={broken}',
        f'export MLIP_TEST_PYTHON={sys.executable}',
    ]
    return installed(computer, BIN / 'pacemaker', '\n'.join(lines))


def installed(computer: orm.Computer, path: os.PathLike[str] | str, prepend: str) -> orm.InstalledCode:
    count = orm.QueryBuilder().append(orm.InstalledCode).count()
    return orm.InstalledCode(
        label=f'pacemaker-{count}', computer=computer, filepath_executable=str(path), prepend_text=prepend
    ).store()


def real(computer: orm.Computer) -> orm.InstalledCode:
    """Return the code of the real pacemaker, or skip the test."""
    path = os.environ.get(REAL) or shutil.which('pacemaker')
    if not path:
        pytest.skip(f'no pacemaker in PATH, and {REAL} is not set to its path ({REAL_PREPEND}: what activates its environment)')
    return installed(computer, path, os.environ.get(REAL_PREPEND, ''))


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
