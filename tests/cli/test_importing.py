import re

import pytest
from aiida import orm
from ase.build import bulk
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
