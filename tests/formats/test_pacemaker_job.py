"""The shell around a run of Pacemaker, run with stand-ins for its programs."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from aiida_mlip_autopipe.formats.pacemaker_job import (
    ACTIVESET,
    STEPS,
    YAML2YACE,
    Program,
    export_commands,
    output_file,
    return_code,
    return_code_file,
    self_test_commands,
)

GOOD = '#!/bin/sh\nexit 0\n'
FIT = '#!/bin/sh\necho basis > output_potential.yaml\nexit ${CODE:-0}\n'
EXPORT = '#!/bin/sh\necho "$@"; echo fast > output_potential.yace\n'
SELECT = '#!/bin/sh\necho "$@"; echo set > output_potential.asi\n'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder with all programs of a sound installation, its name with a space."""
    folder = tmp_path / 'my env'
    folder.mkdir()
    for name, text in {'pacemaker': FIT, YAML2YACE: EXPORT, ACTIVESET: SELECT, 'python': GOOD}.items():
        (folder / name).write_text(text, encoding='utf-8')
        (folder / name).chmod(0o755)
    return folder


def run(work: Path, programs: Path, *, export: str | None = None, **environment: str) -> dict[str, str]:
    """Run a job as AiiDA writes it and return the files it left."""
    pacemaker = str(programs / 'pacemaker')
    text = export or export_commands(None, None, all_atoms=True)
    script = f'{self_test_commands(pacemaker, [YAML2YACE, ACTIVESET])}\n\n{shlex.quote(pacemaker)}\n\n{text}\n'
    work.mkdir()
    variables = {'PATH': '/usr/bin:/bin', **environment}
    done = subprocess.run(['bash', '-c', script], cwd=work, env=variables, check=False, timeout=60)
    assert done.returncode == 0, 'a scheduler must not take a failure for its own'
    return {path.name: path.read_text(encoding='utf-8') for path in work.iterdir()}


def codes(left: dict[str, str]) -> dict[str, int | None]:
    return {step: return_code(left.get(return_code_file(step), '')) for step in STEPS}


def test_all_steps(programs: Path, tmp_path: Path) -> None:
    left = run(tmp_path / 'work', programs)
    assert codes(left) == dict.fromkeys(STEPS, 0)
    assert left['yaml2yace.out'] == 'output_potential.yaml -o output_potential.yace\n'
    assert left['activeset.out'] == '-a -d fitting_data_info.pckl.gzip output_potential.yaml\n'
    assert {'output_potential.yace', 'output_potential.asi'} <= set(left)


def test_an_active_set_without_outliers(programs: Path, tmp_path: Path) -> None:
    left = run(tmp_path / 'work', programs, export=export_commands(None, None, all_atoms=False))
    assert left['activeset.out'] == '-d fitting_data_info.pckl.gzip output_potential.yaml\n'


def test_the_active_set_is_linear(programs: Path, tmp_path: Path) -> None:
    assert ' -f' not in export_commands(None, None, all_atoms=True).replace('rm -f', '')


def test_a_broken_installation_ends_the_job_before_the_fit(programs: Path, tmp_path: Path) -> None:
    (programs / 'python').write_text('#!/bin/sh\necho "ModuleNotFoundError: maxvolpy"\nexit 1\n', encoding='utf-8')
    left = run(tmp_path / 'work', programs)
    assert codes(left) == {'selftest': 1, 'pacemaker': None, 'yaml2yace': None, 'activeset': None}
    assert left['selftest.out'] == 'ModuleNotFoundError: maxvolpy\n'
    assert 'output_potential.yaml' not in left


def test_the_self_test_imports_what_the_report_names(programs: Path, tmp_path: Path) -> None:
    (programs / 'python').write_text('#!/bin/sh\necho "$@"\n', encoding='utf-8')
    assert run(tmp_path / 'work', programs)['selftest.out'] == '-c import tensorflow, tensorpotential, pyace, maxvolpy\n'


@pytest.mark.parametrize('name', [YAML2YACE, ACTIVESET, 'pacemaker'])
def test_a_missing_program_ends_the_job_before_the_fit(programs: Path, tmp_path: Path, name: str) -> None:
    (programs / name).unlink()
    left = run(tmp_path / 'work', programs)
    assert codes(left)['selftest'] == 127
    assert f'{name}: not found' in left['selftest.out']
    assert codes(left)['pacemaker'] is None


def test_a_failed_fit_is_not_exported(programs: Path, tmp_path: Path) -> None:
    left = run(tmp_path / 'work', programs, CODE='1')
    assert codes(left) == {'selftest': 0, 'pacemaker': 1, 'yaml2yace': None, 'activeset': None}


def test_a_failed_export_is_recorded_and_the_active_set_still_made(programs: Path, tmp_path: Path) -> None:
    (programs / YAML2YACE).write_text('#!/bin/sh\necho no; exit 5\n', encoding='utf-8')
    left = run(tmp_path / 'work', programs)
    assert codes(left) == {'selftest': 0, 'pacemaker': 0, 'yaml2yace': 5, 'activeset': 0}
    assert left['yaml2yace.out'] == 'no\n'


def test_programs_of_other_codes_run_in_their_own_environment(programs: Path, tmp_path: Path) -> None:
    other = tmp_path / 'other tool'
    other.write_text('#!/bin/sh\necho "$MODULE $@"\n', encoding='utf-8')
    other.chmod(0o755)
    program = Program(str(other), 'export MODULE=loaded\n: "a second line"')
    left = run(tmp_path / 'work', programs, export=export_commands(program, None, all_atoms=True))
    assert left['yaml2yace.out'] == 'loaded output_potential.yaml -o output_potential.yace\n'
    assert codes(left)['activeset'] == 0


def test_programs_in_the_path(programs: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / 'bin'
    elsewhere.mkdir()
    for name in (YAML2YACE, ACTIVESET, 'python'):
        (programs / name).rename(elsewhere / name)
    left = run(tmp_path / 'work', programs, PATH=os.pathsep.join([str(elsewhere), '/usr/bin', '/bin']))
    assert codes(left) == dict.fromkeys(STEPS, 0)


@pytest.mark.parametrize(('text', 'number'), [('0\n', 0), ('143', 143), ('', None), ('\n', None), ('x', None), ('-9', -9)])
def test_return_codes(text: str, number: int | None) -> None:
    assert return_code(text) == number


def test_names_of_the_files() -> None:
    assert [return_code_file(step) for step in STEPS] == ['selftest.rc', 'pacemaker.rc', 'yaml2yace.rc', 'activeset.rc']
    assert output_file('selftest') == 'selftest.out'
