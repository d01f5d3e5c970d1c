from pathlib import Path

import pytest
from aiida import orm

from aiida_mlip_autopipe.cli.setup import ensure_code, ensure_computer, ensure_family
from aiida_mlip_autopipe.common.errors import InputError
from tests.aiida_fixtures import PSEUDO_FOLDER, PSEUDOS


def count(kind):
    return orm.QueryBuilder().append(kind).count()


def test_a_computer_is_made_once_and_never_waits(tmp_path):
    first = ensure_computer('other-host', tmp_path)
    before = count(orm.Computer)
    assert ensure_computer('other-host', tmp_path).pk == first.pk
    assert count(orm.Computer) == before
    assert first.is_configured
    assert first.get_minimum_job_poll_interval() == 0
    assert first.get_configuration()['safe_interval'] == 0
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
