"""Self-consistency of VASP's real outputs, and of the same ones made to fail."""

from __future__ import annotations

from pathlib import Path

import ase.test
import pytest

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.formats.structures import import_frames
from aiida_mlip_autopipe.formats.vasp import REACHED, unconverged_steps

VASP = Path(ase.test.__file__).parent / 'testdata' / 'vasp'
CHANGES = {
    'OUTCAR_example_1': (REACHED, 'aborting loop EDIFF was not reached (unconverged)'),
    'vasprun_pstress.xml': ('name="NELM">    60<', 'name="NELM">     9<'),  # as many as it took
}


@pytest.mark.parametrize('name', CHANGES)
def test_a_run_that_converged(name: str) -> None:
    assert unconverged_steps(VASP / name) == 0


@pytest.mark.parametrize('name', CHANGES)
def test_a_run_that_did_not(tmp_path: Path, name: str) -> None:
    before, after = CHANGES[name]
    text = (VASP / name).read_text(encoding='utf-8')
    assert before in text
    path = tmp_path / name
    path.write_text(text.replace(before, after), encoding='utf-8')
    assert unconverged_steps(path) == 1
    with pytest.raises(FormatError, match=r'1 ionic step\(s\) of VASP did not converge'):
        import_frames(path, {'code': 'vasp'})


def test_other_files_are_not_looked_into(tmp_path: Path) -> None:
    assert unconverged_steps(tmp_path / 'none.cif') == 0
