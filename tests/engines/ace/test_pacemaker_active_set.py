"""The script that completes an active set, with `pyace` of this environment and with none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aiida_mlip_autopipe.engines.ace import pacemaker_active_set
from aiida_mlip_autopipe.engines.ace.pacemaker_active_set import EPSILON, completed
from aiida_mlip_autopipe.engines.ace.pacemaker_data import dataset
from aiida_mlip_autopipe.engines.ace.pacemaker_log import largest_grade
from aiida_mlip_autopipe.engines.ace.potential import active_set_sizes
from tests.pacemaker_data import ALONE, FIXTURES, frames


def test_each_function_gets_a_row_of_small_weight() -> None:
    found = completed(np.array([[1.0, 0.0, -4.0], [0.5, 0.0, 2.0]]))
    assert found.shape == (5, 3)
    assert np.diag(found[2:]) == pytest.approx(EPSILON * np.array([1.0, 1.0, 4.0])), 'also one that no atom shows'
    assert np.linalg.matrix_rank(found) == 3


@pytest.mark.parametrize('count', [1, 3])
def test_an_element_with_fewer_atoms_than_functions(tmp_path: Path, count: int) -> None:
    """32 atoms for 60 functions are refused by `pace_activeset`; 96 are enough."""
    pytest.importorskip('pyace')
    (tmp_path / 'df.pckl.gzip').write_bytes(dataset(frames(count=count), ALONE, None))
    potential = tmp_path / 'potential.yaml'
    potential.write_bytes((FIXTURES / 'fit_al' / 'output_potential.yaml').read_bytes())
    done = subprocess.run(
        [sys.executable, pacemaker_active_set.__file__, 'df.pckl.gzip', 'potential.yaml'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert active_set_sizes((tmp_path / 'potential.asi').read_bytes()) == {'Al': 60}
    grade = largest_grade(done.stdout)
    assert grade is not None
    assert 0.9 < grade <= 1.01
