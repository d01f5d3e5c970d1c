"""`examples/plugin`: a package of somebody else, installed beside ours, runs the loop; no file of ours names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / 'examples' / 'plugin'
MOST_LINES = 200
TIME_LIMIT = 900

LOOP = """
import os
import sys
from pathlib import Path
from aiida.engine import run_get_node
from aiida_mlip_autopipe.cli.setup import ensure_code, ensure_computer
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain

CONFIG = {
    'system': {
        'elements': ['Cu', 'Au'],
        'prototype': 'fcc',
        'lattice_parameters': {'Cu': 3.6, 'Au': 3.6},
        'compositions': [{'Cu': 1.0}, {'Cu': 0.5, 'Au': 0.5}],
        'supercells': [[2, 2, 3]],
    },
    'generate': {'sqs': {'steps': 20, 'cutoffs': [4.0]}, 'rattle': {'count': 4}, 'pairs_stretch': {'factors': [0.96, 1.04]}},
    'label': {'labeller': 'pairs.label', 'code': 'pairs-worker@localhost', 'epsilon': 0.2},
    'train': {'trainer': 'pairs.train', 'cutoff': 6.0, 'checks': {'pairs_squeeze': {}, 'nve_time': 100.0}},
    'explore': {'starts': 1, 'temperatures': [600], 'steps': 100, 'gamma_select': 1.0, 'gamma_halt': 50.0},
    'loop': {'max_rounds': 2, 'max_labels': 40, 'initial_labels': 8, 'labels_per_round': 4, 'test_labels': 6},
    'worker': {'code': 'pairs-worker@localhost'},
}


def test_loop(aiida_profile, tmp_path):
    computer = ensure_computer('localhost', tmp_path)
    worker = tmp_path / 'pairs-worker'  # AiiDA empties the variable for its jobs
    worker.write_text(f'#!/bin/sh\\nPYTHONPATH={os.environ["PYTHONPATH"]} exec {Path(sys.executable).parent}/mlip-worker "$@"\\n')
    worker.chmod(0o755)
    ensure_code('pairs-worker', computer, worker, None)
    builder = ActiveLearningWorkChain.get_builder_from_config(MLIPConfig.from_mapping(CONFIG))
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.report.get_dict()
    trained = [entry for entry in report['rounds'] if entry['test_errors']]
    assert len(trained) == 2
    assert node.outputs.potential.record.engine == 'pairs.table'
    assert 'stretch' in node.outputs.frames.frames.config_type
    assert trained[-1]['test_errors']['force_rmse'] < 0.05
    made = {child.process_type.rpartition(':')[2] for child in node.called_descendants}
    assert {'pairs.label', 'pairs.train'} <= made
    checks = [one for child in node.called_descendants if child.process_label == 'CheckCalculation'
              for one in child.outputs.report['checks'] if one['check'] == 'pairs.squeeze']
    assert [one['passed'] for one in checks] == [True, True]
    explored = [child for child in node.called_descendants if child.process_label == 'LammpsMdCalculation']
    assert 'pairs.explore' in {child.inputs.settings['explorer'] for child in explored}
"""


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """Return the folder that the package was installed into."""
    folder = tmp_path_factory.mktemp('installed')
    command = [sys.executable, '-m', 'pip', 'install', '-qq', '--no-deps', '--target', str(folder), str(PLUGIN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIME_LIMIT)
    assert done.returncode == 0, done.stderr
    return folder


def outcome_of(path, installed):
    """Run tests in a Python that has both packages."""
    environment = {**os.environ, 'PYTHONPATH': f'{installed}:{ROOT}'}
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'aiida.tools.pytest_fixtures', '-p', 'no:cacheprovider', str(path)]
    return subprocess.run(
        command, env=environment, cwd=path.parent, capture_output=True, text=True, check=False, timeout=TIME_LIMIT
    )


@pytest.mark.lammps
def test_it_passes_its_own_tests(installed):
    done = outcome_of(PLUGIN / 'test_pairs.py', installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '6 passed' in done.stdout


@pytest.mark.lammps
def test_the_loop_runs_with_it(installed, tmp_path):
    path = tmp_path / 'test_pairs_loop.py'
    path.write_text(LOOP, encoding='utf-8')
    done = outcome_of(path, installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '1 passed' in done.stdout


def test_it_is_small():
    lines = [line for path in PLUGIN.rglob('*') if path.suffix in ('.py', '.toml') for line in path.read_text().splitlines()]
    own = [line for path in (PLUGIN / 'mlip_pairs').glob('*.py') for line in path.read_text().splitlines()]
    assert len(own) <= MOST_LINES
    assert len(lines) > len(own)


def test_no_file_of_ours_names_it():
    for path in [*(ROOT / 'aiida_mlip_autopipe').rglob('*.py'), ROOT / 'pyproject.toml']:
        text = path.read_text(encoding='utf-8')
        assert 'pairs.train' not in text
        assert 'mlip_pairs' not in text
