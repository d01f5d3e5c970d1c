"""Each benchmark, and the script of the docs, in its quick size: it runs to its end, and its figures have the form of figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ('explore', 'generate', 'label', 'learning', 'loop', 'md_ace', 'selection', 'testset', 'train')
HELPERS = {'__init__', 'chain', 'data', 'figures', 'pacemaker_fit', 'test_quick'}
NOT_MEASURED = 'not measured: '


def run(*words, **variables):
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **variables}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_every_benchmark_is_here():
    assert {path.stem for path in Path(__file__).parent.glob('*.py')} == {*BENCHMARKS, *HELPERS}


@pytest.mark.lammps
@pytest.mark.parametrize('name', BENCHMARKS)
def test_it_ends_with_its_figures(name):
    """One that lacks a program, or the time for what it measures, says so in its last line in place of figures."""
    lines = run('-m', f'tests.benchmarks.{name}', '--quick')
    figures = [line for line in lines if line.startswith('{')]
    if not figures:
        assert lines[-1].startswith(NOT_MEASURED)
        return
    assert lines[-len(figures) :] == figures
    for line in figures:
        figure = json.loads(line)
        assert set(figure) == {'figure', 'value', 'target', 'met'}
        assert isinstance(figure['value'], float)
        assert figure['met'] in ({None} if figure['target'] is None else {True, False})


@pytest.mark.lammps
def test_the_script_of_the_docs_writes_its_page_and_its_figure(tmp_path):
    assert [path.name for path in (ROOT / 'docs').glob('*.py')] == ['calibration.py']
    run('docs/calibration.py', '--quick', '--out', tmp_path)
    assert '## By stated deviation' in (tmp_path / 'calibration.md').read_text(encoding='utf-8')
    assert (tmp_path / 'calibration.png').read_bytes().startswith(b'\x89PNG')
