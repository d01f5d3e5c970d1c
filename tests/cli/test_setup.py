import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiida import orm

from aiida_mlip_autopipe.cli import setup
from aiida_mlip_autopipe.cli.setup import ensure_code, ensure_computer, ensure_family
from aiida_mlip_autopipe.common.errors import InputError
from tests.aiida_fixtures import PSEUDO_FOLDER, PSEUDOS
from tests.pacemaker_code import real_pacemaker


def count(kind):
    return orm.QueryBuilder().append(kind).count()


def test_a_computer_is_made_once_and_looked_at_each_second_without_a_login_shell(tmp_path):
    first = ensure_computer('other-host', tmp_path)
    before = count(orm.Computer)
    assert ensure_computer('other-host', tmp_path).pk == first.pk
    assert count(orm.Computer) == before
    assert first.is_configured
    assert first.get_minimum_job_poll_interval() == 1
    assert first.get_configuration()['safe_interval'] == 0
    assert first.get_configuration()['use_login_shell'] is False
    first.configure(use_login_shell=True)
    assert ensure_computer('other-host', tmp_path).get_configuration()['use_login_shell'] is True, 'the choice of a user'
    assert first.get_default_mpiprocs_per_machine() == 1


def test_a_code_is_made_once(localhost):
    first = ensure_code('once', localhost, Path('/bin/true'), None)
    before = count(orm.InstalledCode)
    assert ensure_code('once', localhost, Path('/bin/true'), None).pk == first.pk
    assert count(orm.InstalledCode) == before
    assert first.prepend_text == 'export OMP_NUM_THREADS=1'


def test_a_code_that_moved_is_replaced_and_the_old_one_kept(localhost):
    old = ensure_code('moved', localhost, Path('/bin/true'), None)
    new = ensure_code('moved', localhost, Path('/bin/false'), None)
    assert new.pk != old.pk
    assert orm.load_code('moved@localhost').pk == new.pk
    again = orm.load_node(old.pk)
    assert (again.label, again.is_hidden) == (f'moved-until-{old.pk}', True)


def test_a_program_that_does_not_exist(localhost):
    with pytest.raises(InputError, match='executable of the code lost does not exist: /no/such'):
        ensure_code('lost', localhost, Path('/no/such'), None)


def test_a_family_is_made_once(lda_family):
    files = [PSEUDO_FOLDER / name for name in PSEUDOS]
    assert ensure_family('mlip-demo-lda', files).pk == lda_family.pk
    assert sorted(lda_family.elements) == ['Al', 'Mg']


def test_pseudopotentials_that_do_not_exist(aiida_profile, tmp_path):
    with pytest.raises(InputError, match=r'family new do not exist: .*a\.UPF, .*b\.UPF'):
        ensure_family('new', [tmp_path / 'a.UPF', tmp_path / 'b.UPF'])


def test_the_command_may_be_repeated(run_cli, lda_family):
    pseudos = [argument for name in PSEUDOS for argument in ('--pseudo', PSEUDO_FOLDER / name)]
    first = run_cli('setup', *pseudos)
    assert first.exit_code == 0, first.output
    before = count(orm.Node), count(orm.Computer), count(orm.Group)
    second = run_cli('setup', *pseudos)
    assert second.output == first.output
    assert (count(orm.Node), count(orm.Computer), count(orm.Group)) == before
    assert 'computer localhost: ready' in first.output
    assert 'code mlip-worker@localhost: ' in first.output
    assert 'pseudopotential family mlip-demo-lda: Al, Mg' in first.output


def test_slurm_is_a_computer_of_its_own_with_the_same_codes(run_cli):
    assert run_cli('setup', '--slurm').exit_code == 0
    slurm = orm.load_computer('slurm')
    assert (slurm.scheduler_type, slurm.transport_type) == ('core.slurm', 'core.local')
    assert orm.load_code('mlip-worker@slurm').filepath_executable == orm.load_code('mlip-worker@localhost').filepath_executable


def test_a_program_that_is_not_installed_is_left_out(run_cli, monkeypatch):
    monkeypatch.setattr('shutil.which', lambda program: None)
    assert 'code pw: not set up, its program is not installed' in run_cli('setup').output


def test_a_path_of_pw_that_does_not_exist(run_cli):
    result = run_cli('setup', '--pw', '/no/such/pw.x')
    assert result.exit_code == 1
    assert 'Error: executable of the code pw does not exist: /no/such/pw.x' in result.output


def test_pacemaker_is_a_code_where_its_path_is_given(run_cli, tmp_path):
    assert 'code pacemaker: not set up, its program is not installed' in run_cli('setup').output
    program = tmp_path / 'pacemaker'
    program.touch()
    result = run_cli('setup', '--pacemaker', program)
    assert result.exit_code == 0, result.output
    code = orm.load_code('pacemaker@localhost')
    assert (str(code.filepath_executable), code.default_calc_job_plugin) == (str(program), 'mlip_autopipe.pacemaker')
    assert code.prepend_text == 'export OMP_NUM_THREADS=1'


def test_a_path_of_pacemaker_that_does_not_exist(run_cli):
    result = run_cli('setup', '--pacemaker', '/no/such/pacemaker')
    assert result.exit_code == 1
    assert 'Error: executable of the code pacemaker does not exist: /no/such/pacemaker' in result.output


SCRIPT = Path(__file__).parents[2] / 'setup_profile.sh'
FAILING_PIP = """#!/bin/sh
case "$*" in
    *'-m pip'*) echo "$PIP_SAYS"; exit 1 ;;
    *platform*) echo '3.99.0 x86_64' ;;
esac
"""


@pytest.fixture
def script_function(tmp_path):
    """Return a function that runs one function of the set-up script: all up to its main part is read, then `call`."""

    def run(call, **environment):
        script = tmp_path / 'setup_profile.sh'
        text = SCRIPT.read_text(encoding='utf-8').rpartition('\ninstall_espresso\n')[0]
        script.write_text(f'{text}\n{call}\n', encoding='utf-8')
        return subprocess.run(['bash', script], capture_output=True, text=True, check=False, env={**os.environ, **environment})

    return run


@pytest.mark.parametrize(
    ('pip', 'said', 'remedy'),
    [
        (
            'ERROR: No matching distribution found for python-ace==0.4.0rc1',
            'ERROR: Pacemaker cannot be had for Python 3.99.0 x86_64: there is no wheel',
            'REMEDY: PYTHON=/path/to/python3.11 ./setup_profile.sh --pacemaker, or leave --pacemaker out',
        ),
        (
            'OSError: [Errno 28] No space left on device',
            'ERROR: Pacemaker could not be installed',
            'a full disk and a missing connection are the usual causes',
        ),
    ],
)
def test_the_script_says_why_pacemaker_cannot_be_installed(script_function, tmp_path, pip, said, remedy):
    python = tmp_path / 'bin' / 'python'
    python.parent.mkdir()
    python.write_text(FAILING_PIP, encoding='utf-8')
    python.chmod(0o755)
    done = script_function(f'PACEMAKER_ENV={tmp_path}; pacemaker_pip anything', PIP_SAYS=pip)
    assert done.returncode == 1
    assert said in done.stderr
    assert remedy in done.stderr
    assert pip in done.stderr


def test_the_script_asks_for_room(script_function, tmp_path):
    done = script_function(f'PACEMAKER_ENV={tmp_path}; PACEMAKER_DISK_GB=1000000; install_pacemaker')
    assert done.returncode == 1
    assert 'It is under the Academic Software Licence: for academic, non-commercial use only.' in done.stdout
    assert 'ERROR: Pacemaker needs 1000000 GB of disk while it is installed, ' in done.stderr


@pytest.mark.pacemaker
def test_the_script_leaves_a_sound_environment_as_it_is(script_function):
    environment = real_pacemaker().parents[1]
    done = script_function(f'VENV={sys.prefix}; PACEMAKER_ENV={environment}; install_pacemaker')
    assert done.returncode == 0, done.stderr
    assert f'Pacemaker is installed: {environment}/bin/pacemaker.' in done.stdout


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """A database as SQLite makes it, that of the profile."""
    path = tmp_path / 'database.sqlite'
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute('CREATE TABLE numbers (value)')
        database.executemany('INSERT INTO numbers VALUES (?)', [(value,) for value in range(1000)])
    profile = SimpleNamespace(storage_backend='core.sqlite_dos', storage_config={'filepath': str(tmp_path)})
    monkeypatch.setattr(setup, 'get_profile', lambda: profile)
    return path


def written_beside_a_reader(path):
    """Return what a writer is told while another has read the first of many rows."""
    with contextlib.closing(sqlite3.connect(path)) as one, contextlib.closing(sqlite3.connect(path, timeout=0.1)) as other:
        reader = one.execute('SELECT value FROM numbers')
        reader.fetchone()
        try:
            with other:
                other.execute('INSERT INTO numbers VALUES (-1)')
        except sqlite3.OperationalError as error:
            return str(error)
    return ''


def test_a_reader_that_pauses_stops_no_writer(embedded):
    assert written_beside_a_reader(embedded) == 'database is locked'
    for _ in range(2):
        setup.let_readers_and_writers_pass()
        assert written_beside_a_reader(embedded) == ''


def test_a_database_that_is_held_is_told(embedded, monkeypatch):
    monkeypatch.setattr(setup, 'SQLITE_SECONDS', 0.1)
    with contextlib.closing(sqlite3.connect(embedded)) as other:
        other.execute('BEGIN EXCLUSIVE')
        with pytest.raises(InputError, match=r'is in use .*: stop the daemon'):
            setup.let_readers_and_writers_pass()


def test_a_profile_on_a_server_is_left_alone(embedded, monkeypatch):
    profile = SimpleNamespace(storage_backend='core.psql_dos', storage_config={'filepath': str(embedded.parent)})
    monkeypatch.setattr(setup, 'get_profile', lambda: profile)
    setup.let_readers_and_writers_pass()
    assert written_beside_a_reader(embedded) == 'database is locked', 'the file was not touched'


def test_a_file_system_without_write_ahead_mode_is_told(embedded, monkeypatch, capsys):
    connect = lambda path, timeout: sqlite3.connect(':memory:')  # noqa: E731  # a database that SQLite keeps in its own mode
    monkeypatch.setattr(setup, 'sqlite3', SimpleNamespace(connect=connect, OperationalError=sqlite3.OperationalError))
    setup.let_readers_and_writers_pass()
    assert 'allows no write-ahead mode' in capsys.readouterr().out
