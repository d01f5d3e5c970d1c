"""The shell around a run of Pacemaker, run with stand-ins for its programs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from aiida_mlip_autopipe.engines.ace.pacemaker_job import (
    ACTIVESET,
    IMPORTS,
    STEPS,
    TOO_FEW_ATOMS,
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
    (programs / 'python').write_text('#!/bin/sh\necho "TensorFlow cannot be loaded"\nexit 1\n', encoding='utf-8')
    left = run(tmp_path / 'work', programs)
    assert codes(left) == {'selftest': 1, 'pacemaker': None, 'yaml2yace': None, 'activeset': None}
    assert left['selftest.out'] == 'TensorFlow cannot be loaded\n'
    assert 'output_potential.yaml' not in left


GOOD_MODULES = {
    'numpy': '__version__ = "2.3.5"',
    'tensorflow': '',
    'tensorpotential.compat.pace.fit': '',
    'pyace.maxvol': '',
}
OLD_MODULES = {'numpy': '__version__ = "1.26.4"', 'tensorflow': '', 'tensorpotential.fit': '', 'pyace': '', 'maxvolpy': ''}


def self_test(folder: Path, modules: dict[str, str]) -> tuple[int, str]:
    """Run the imports on modules with the given text, and return the return code with the last line."""
    for name, content in modules.items():
        *packages, module = name.split('.')
        place = folder
        for package in packages:
            place /= package
            place.mkdir(parents=True, exist_ok=True)
            (place / '__init__.py').touch()
        target = place / module
        path = target / '__init__.py' if target.is_dir() else place / f'{module}.py'
        path.write_text(content, encoding='utf-8')
    # -S: without the packages of this environment.
    done = subprocess.run(
        [sys.executable, '-S', '-c', IMPORTS], env={'PYTHONPATH': str(folder)}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ''


@pytest.mark.parametrize('modules', [GOOD_MODULES, OLD_MODULES])
def test_a_new_and_an_old_installation_pass(tmp_path: Path, modules: dict[str, str]) -> None:
    folder = tmp_path / 'modules'
    folder.mkdir()
    assert self_test(folder, modules) == (0, '')


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (
            {'tensorflow': 'raise ImportError("libfoo.so: undefined symbol")'},
            'TensorFlow cannot be loaded (tensorflow: ImportErr',
        ),
        (
            {'tensorflow': 'raise AttributeError("np.complex_")'},
            'TensorFlow cannot be loaded (tensorflow: AttributeError: np.comp',
        ),
        (
            {'numpy': '__version__ = "2.4.6"'},
            'NumPy 2.4.6 breaks the fit of this TensorPotential at its first iteration; install',
        ),
        ({'pyace.maxvol': None}, 'MaxVol cannot be loaded (pyace.maxvol: ModuleNotFoundError: '),
        ({'tensorpotential.compat.pace.fit': None}, 'TensorPotential cannot be loaded (tensorpotential.compat.pace.fit: Mod'),
    ],
)
def test_a_broken_installation_says_what_is_wrong(tmp_path: Path, change: dict[str, str | None], said: str) -> None:
    folder = tmp_path / 'modules'
    folder.mkdir()
    modules = {**GOOD_MODULES, 'pyace': '', **change}
    code, line = self_test(folder, {name: content for name, content in modules.items() if content is not None})
    assert code == 1
    assert line.startswith(said)


def test_the_script_takes_over_where_an_element_has_too_few_atoms(programs: Path, tmp_path: Path) -> None:
    (programs / ACTIVESET).write_text(f'#!/bin/sh\necho "ValueError: {TOO_FEW_ATOMS} to determine"; exit 1\n', encoding='utf-8')
    (programs / 'python').write_text('#!/bin/sh\n[ "$1" = -c ] || echo "$@"\n', encoding='utf-8')
    left = run(tmp_path / 'work', programs)
    assert codes(left)['activeset'] == 0
    assert left['activeset.out'].endswith('select_active_set.py fitting_data_info.pckl.gzip output_potential.yaml\n')


def test_the_script_is_for_nothing_else(programs: Path, tmp_path: Path) -> None:
    (programs / ACTIVESET).write_text('#!/bin/sh\necho "MemoryError"; exit 1\n', encoding='utf-8')
    left = run(tmp_path / 'work', programs)
    assert codes(left)['activeset'] == 1
    assert left['activeset.out'] == 'MemoryError\n'


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
