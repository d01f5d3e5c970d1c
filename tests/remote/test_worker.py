"""`mlip-worker`: its words, its exit status and what it leaves in the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiida_mlip_autopipe.common.entry_points import OWN, load_plugin, registered
from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.formats.files import CAN, CANNOT
from aiida_mlip_autopipe.remote import worker
from aiida_mlip_autopipe.remote.worker import GROUP, main, run_stage, usage
from tests.remote.conftest import GENERATE, SYSTEM

STAGES = [name.removeprefix(OWN) for name in registered(GROUP)]
USAGE = usage()
COMMAND = Path(sys.executable).parent / 'mlip-worker'


def exit_status(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def with_settings(folder: Path, values: Any) -> Path:
    (folder / files.SETTINGS).write_text(values if isinstance(values, str) else json.dumps(values), encoding='utf-8')
    return folder


class TestCommandLine:
    @pytest.mark.parametrize('word', ['--help', '-h'])
    def test_help(self, word: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert exit_status([word]) == 0
        assert capsys.readouterr().out == USAGE
        assert all(stage in USAGE for stage in STAGES)

    @pytest.mark.parametrize('words', [[], ['nothing'], ['generate', 'select'], ['Generate'], ['--help', 'x']])
    def test_unknown_stage(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert exit_status(words) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err) == ('', USAGE)

    def test_installed_command(self, tmp_path: Path) -> None:
        done = subprocess.run([COMMAND, '--help'], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, USAGE, '')
        done = subprocess.run([COMMAND, 'explode'], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, '', USAGE)
        assert not list(tmp_path.iterdir())

    def test_status_of_the_stage_in_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert exit_status(['generate']) == 1
        assert (tmp_path / files.ERROR).exists()
        pure = {**SYSTEM, 'elements': ['Cu'], 'lattice_parameters': {'Cu': 3.6}, 'compositions': [{'Cu': 1.0}]}
        with_settings(tmp_path, {'system': pure, 'settings': GENERATE, 'seed': 1})
        assert exit_status(['generate']) == 0
        assert (tmp_path / files.REPORT).exists()


class TestStages:
    @pytest.mark.parametrize('name', registered(GROUP))
    def test_every_stage_can_run(self, name: str) -> None:
        assert callable(load_plugin(GROUP, name))

    @pytest.mark.parametrize('name', STAGES)
    def test_missing_settings(self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_stage(name, tmp_path) == 1
        record = json.loads((tmp_path / files.ERROR).read_text())
        assert record['kind'] == 'InputError'
        assert record['message'].startswith(f'{tmp_path / files.SETTINGS}: cannot be read')
        assert capsys.readouterr().err == f'{record["kind"]}: {record["message"]}\n'
        assert [path.name for path in tmp_path.iterdir()] == [files.ERROR]

    @pytest.mark.parametrize('text', ['', '{', 'not json', '\x00'])
    def test_broken_settings(self, text: str, tmp_path: Path) -> None:
        assert run_stage('generate', with_settings(tmp_path, text)) == 1
        assert 'cannot be read' in json.loads((tmp_path / files.ERROR).read_text())['message']

    @pytest.mark.parametrize('values', [[], 3, None, True])
    def test_settings_that_are_no_mapping(self, values: Any, tmp_path: Path) -> None:
        assert run_stage('generate', with_settings(tmp_path, values)) == 1
        record = json.loads((tmp_path / files.ERROR).read_text())
        assert record['message'] == f'{tmp_path / files.SETTINGS}: must hold a mapping, got {values!r}'

    @pytest.mark.parametrize(
        ('name', 'key'),
        [('generate', 'system'), *((name, 'settings') for name in ('select', 'label-ase', 'train-pod', 'explore'))],
    )
    def test_setting_that_is_missing(self, name: str, key: str, tmp_path: Path) -> None:
        assert run_stage(name, with_settings(tmp_path, {})) == 1
        record = json.loads((tmp_path / files.ERROR).read_text())
        assert record == {'kind': 'InputError', 'message': f'{files.SETTINGS}: the key {key!r} is missing'}


class TestOutcome:
    def test_report_is_sorted_json(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, '_stage', lambda name: lambda settings, folder: {'b': settings['x'], 'a': str(folder)})
        assert run_stage('generate', with_settings(tmp_path, {'x': 1})) == 0
        text = (tmp_path / files.REPORT).read_text()
        assert json.loads(text) == {'a': str(tmp_path), 'b': 1}
        assert text.index('"a"') < text.index('"b"')
        assert not (tmp_path / files.ERROR).exists()

    def test_kind_of_the_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(settings: object, folder: object) -> dict[str, Any]:
            raise EngineError('LAMMPS is missing: ä')

        monkeypatch.setattr(worker, '_stage', lambda name: broken)
        assert run_stage('explore', with_settings(tmp_path, {})) == 1
        assert json.loads((tmp_path / files.ERROR).read_text()) == {'kind': 'EngineError', 'message': 'LAMMPS is missing: ä'}

    def test_bug_is_not_hidden(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, '_stage', lambda name: lambda settings, folder: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_stage('generate', with_settings(tmp_path, {}))
        assert not (tmp_path / files.ERROR).exists()

    def test_number_that_is_not_finite_never_gets_into_a_report(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, '_stage', lambda name: lambda settings, folder: {'a': float('nan')})
        with pytest.raises(ValueError, match='not JSON compliant'):
            run_stage('generate', with_settings(tmp_path, {}))
        assert not (tmp_path / files.REPORT).exists()


@pytest.mark.lammps
class TestCan:
    @pytest.mark.parametrize('engine', ['pod', 'pace'])
    def test_what_runs_here(self, engine: str) -> None:
        with pytest.raises(SystemExit) as caught:
            worker.main([CAN, engine])
        assert caught.value.code == 0

    def test_what_does_not(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            worker.main([CAN, 'snap'])
        assert caught.value.code == CANNOT
        assert capsys.readouterr().err == "engine: got 'snap'; the entry points of mlip_autopipe.engines are pace, pod\n"
