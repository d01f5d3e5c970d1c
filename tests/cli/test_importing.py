import re

import numpy as np
import pytest
from aiida import orm
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.formats.extxyz import write_extxyz


def test_labels_are_stored_with_their_declared_level(run_cli, emt_frames, tmp_path):
    path = tmp_path / 'labels.extxyz'
    write_extxyz(path, emt_frames(3, fingerprint=''))
    result = run_cli('import', path, '--theory', 'functional=PBE', '--theory', 'cutoff=60 Ry')
    assert result.exit_code == 0, result.output
    frames = orm.load_node(int(re.search(r'PK (\d+)', result.output)[1])).frames
    assert set(frames.fingerprint.tolist()) == {fingerprint_of({'functional': 'PBE', 'cutoff': '60 Ry'})}
    assert '3 structures, 3 labelled' in result.output
    assert '2 lineages, of which none is split between training and testing' in result.output


def test_steps_of_md_are_one_lineage_and_cannot_be_split(run_cli, emt_frames, config_file, worker_code, tmp_path):
    """80 steps were 80 lineages, so that the test error was the training error."""
    steps = [emt_frames(1, fingerprint='').atoms(0) for _ in range(80)]
    for number, atoms in enumerate(steps):
        atoms.positions += np.random.default_rng(number).normal(scale=0.1, size=atoms.positions.shape)
        atoms.info = {}
        atoms.calc = EMT()
        atoms.get_potential_energy(), atoms.get_forces()
    write(tmp_path / 'md.extxyz', steps)
    result = run_cli('import', tmp_path / 'md.extxyz', '--theory', 'code=EMT')
    assert '; 1 lineage, of which none is split' in result.output
    pk = re.search(r'PK (\d+)', result.output)[1]
    refused = run_cli('train', pk, config_file())
    assert refused.exit_code == 1
    assert 'a test set needs at least two lineages, got 1; give a test set with --test' in refused.output


def test_structures_without_labels_need_no_level(run_cli, tmp_path):
    write(tmp_path / 'a.cif', bulk('Cu'))
    assert '1 structures, 0 labelled, level of theory none' in run_cli('import', tmp_path / 'a.cif').output


@pytest.mark.parametrize('theory', ['PBE', '=PBE', 'functional='])
def test_a_theory_that_is_no_pair(run_cli, tmp_path, theory):
    result = run_cli('import', tmp_path / 'a.cif', '--theory', theory)
    assert result.exit_code == 1
    assert f"--theory: got '{theory}'; expected key=value" in result.output


def test_a_file_that_cannot_be_read(run_cli, tmp_path):
    result = run_cli('import', tmp_path / 'none.cif')
    assert result.exit_code == 1
    assert 'ASE cannot read it' in result.output
