"""What the programs of a configuration say about ACE: real ones of this machine, and stand-ins for others."""

from pathlib import Path

import pytest
from aiida import orm

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.lammps.library import child_environment
from aiida_mlip_autopipe.workflows import programs
from aiida_mlip_autopipe.workflows.programs import ask_lmp, ask_worker, lacks_pair_styles
from tests.lammps_program import lmp_binary

LISTED = 'Pair styles:\n\nlj/cut   pace            pace/extrapolation\n'


@pytest.fixture(autouse=True)
def _asked_anew():
    programs._ask_lmp.cache_clear()
    programs._ask_worker.cache_clear()
    programs._listed_styles.cache_clear()


@pytest.fixture
def code_of(localhost):
    """Return a function that gives the code of a program or of a script."""

    def make(path: Path, script: str = '', prepend: str = '', computer: orm.Computer = localhost) -> orm.InstalledCode:
        if script:
            path.write_text(f'#!/bin/sh\n{script}\n', encoding='utf-8')
            path.chmod(0o755)
        count = orm.QueryBuilder().append(orm.InstalledCode).count()
        return orm.InstalledCode(
            label=f'program-{count}', computer=computer, filepath_executable=str(path), prepend_text=prepend
        ).store()

    return make


@pytest.fixture
def elsewhere():
    count = orm.QueryBuilder().append(orm.Computer).count()
    return orm.Computer(
        label=f'cluster-{count}', hostname='cluster', transport_type='core.ssh', scheduler_type='core.slurm', workdir='/tmp'
    ).store()


class TestWorker:
    @pytest.mark.lammps
    def test_the_one_of_this_environment_can(self, worker_code):
        assert ask_worker(worker_code, 'worker.code') == ()

    @pytest.mark.lammps
    def test_one_without_pyace_is_refused(self, code_of, worker_code, tmp_path):
        (tmp_path / 'pyace.py').write_text("raise ImportError('it is hidden')", encoding='utf-8')
        code = code_of(Path(worker_code.filepath_executable), prepend=f'export PYTHONPATH={tmp_path}')
        said = r"^worker\.code: got '.*'; it cannot run .*ACE: this LAMMPS has no pair style pace, .*pip install python-ace"
        with pytest.raises(InputError, match=said):
            ask_worker(code, 'worker.code')

    @pytest.mark.parametrize('script', ['exit 2', 'exit 127'])
    def test_one_that_does_not_answer_is_told(self, code_of, tmp_path, script):
        (sentence,) = ask_worker(code_of(tmp_path / 'old', script), 'worker.code')
        assert sentence.startswith("worker.code: got 'program-")
        assert '`mlip-worker --can pace` on its machine tells' in sentence

    def test_one_elsewhere_is_not_asked(self, code_of, elsewhere, tmp_path):
        marker = tmp_path / 'ran'
        (sentence,) = ask_worker(code_of(tmp_path / 'w', f'touch {marker}', computer=elsewhere), 'worker.code')
        assert 'from here nobody can say' in sentence
        assert not marker.exists()

    def test_one_that_hangs_is_told(self, code_of, tmp_path, monkeypatch):
        monkeypatch.setattr(programs, 'TIME_LIMIT', 0.2)
        assert len(ask_worker(code_of(tmp_path / 'w', 'exec sleep 20'), 'worker.code')) == 1

    def test_our_packages_are_not_handed_on(self, code_of, tmp_path, monkeypatch):
        monkeypatch.setenv('PYTHONPATH', '/of/the/daemon')
        assert ask_worker(code_of(tmp_path / 'w', 'test -z "$PYTHONPATH"'), 'worker.code') == ()


class TestLmp:
    @pytest.mark.lammps
    def test_that_of_pypi_is_refused(self, code_of):
        prepend = f'export LD_LIBRARY_PATH={child_environment()["LD_LIBRARY_PATH"]}; unset LAMMPS_PLUGIN_PATH'
        code = code_of(lmp_binary(), prepend=prepend)
        said = r"^explore\.code: got '.*'; this LAMMPS has no pair style pace/extrapolation, .*; or leave out explore\.explorer"
        with pytest.raises(InputError, match=said):
            ask_lmp(code, 'explore.code')

    def test_one_with_the_style_passes(self, code_of, tmp_path):
        (tmp_path / 'styles').write_text(LISTED, encoding='utf-8')
        code = code_of(tmp_path / 'lmp', f'read line; test "$line" = "info styles pair" && cat {tmp_path / "styles"}')
        assert ask_lmp(code, 'explore.code') == ()

    def test_one_that_lists_nothing_is_told(self, code_of, tmp_path):
        (sentence,) = ask_lmp(code_of(tmp_path / 'lmp', 'echo hello'), 'explore.code')
        assert '`info styles pair` in its LAMMPS tells' in sentence

    def test_one_elsewhere_is_told(self, code_of, elsewhere, tmp_path):
        assert len(ask_lmp(code_of(tmp_path / 'lmp', 'exit 0', computer=elsewhere), 'explore.code')) == 1


def test_a_refusal_is_not_remembered(code_of, tmp_path):
    """Who installs what was missing need not start Python anew."""
    code = code_of(tmp_path / 'w', 'echo "no" >&2; exit 3')
    with pytest.raises(InputError, match='it cannot run potentials of ACE: no'):
        ask_worker(code, 'worker.code')
    (tmp_path / 'w').write_text('#!/bin/sh\nexit 0\n', encoding='utf-8')
    assert ask_worker(code, 'worker.code') == ()


class TestPairStyles:
    POD = ('pair_style hybrid/overlay pod zbl 1.0 2.0', 'pair_coeff * * pod a.pod b.pod Cu')
    PACE = ('pair_style pace product', 'pair_coeff * * a.yace Cu')

    @pytest.mark.parametrize(('lines', 'lacks'), [(PACE, False), (POD, True), (('pair_style lj/cut 7',), False)])
    def test_what_is_listed_is_there(self, code_of, tmp_path, lines, lacks):
        code = code_of(tmp_path / 'lmp', f"printf '{LISTED.encode('unicode_escape').decode()}'")
        assert lacks_pair_styles(code, lines) is lacks

    def test_one_that_does_not_answer(self, code_of, tmp_path):
        assert lacks_pair_styles(code_of(tmp_path / 'lmp', 'exit 1'), self.POD) is None

    def test_one_elsewhere(self, code_of, elsewhere):
        assert lacks_pair_styles(code_of(Path('/bin/true'), computer=elsewhere), self.POD) is None
