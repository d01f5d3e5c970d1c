import subprocess

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.lammps.data import NvtRun, data_text, masses_of, nvt_input
from aiida_mlip_autopipe.engines.lammps.library import child_environment
from aiida_mlip_autopipe.engines.pod.files import coefficient_text, pair_lines, parameter_text
from aiida_mlip_autopipe.science.linear.core import ZblCore
from tests.lammps_program import lmp_binary

EXPECTED = """units metal
atom_style atomic
atom_modify map array
boundary p p p
box tilt large
read_data start.data
mass 1 63.546
mass 2 196.966569
pair_style pod
pair_coeff * * param.pod model.pod Cu Au
velocity all create 300 7 mom yes rot no dist gaussian
fix ensemble all nvt temp 300 300 0.2
timestep 0.002
thermo 100
thermo_style custom step temp pe etotal press vol
run 1000
"""


def cell_of_108():
    atoms = bulk('Cu', cubic=True) * 3
    atoms.symbols[::4] = 'Au'
    return atoms


def test_input_is_the_stored_one():
    run = NvtRun(temperature=300.0, timestep=2.0, steps=1000, seed=7)
    lines = pair_lines(['Cu', 'Au'], None)
    assert nvt_input('start.data', lines, masses_of(['Cu', 'Au']), run) == EXPECTED


def test_data_text_has_all_atoms_in_the_order_of_the_elements():
    text = data_text(cell_of_108(), ['Au', 'Cu'])
    assert '108 atoms' in text
    assert '2 atom types' in text
    types = [int(line.split()[1]) for line in text.split('Atoms')[1].splitlines() if len(line.split()) == 5]
    assert types == [1 if symbol == 'Au' else 2 for symbol in cell_of_108().get_chemical_symbols()]


def test_data_text_leaves_its_argument_alone():
    atoms = cell_of_108()
    atoms.positions += 100.0
    before = atoms.positions.copy()
    data_text(atoms, ['Cu', 'Au'])
    np.testing.assert_array_equal(atoms.positions, before)


def test_structures_that_are_not_periodic_are_refused():
    atoms = cell_of_108()
    atoms.pbc = [True, True, False]
    with pytest.raises(InputError, match='periodic'):
        data_text(atoms, ['Cu', 'Au'])


def test_an_unknown_element_is_refused():
    with pytest.raises(InputError, match='Au'):
        data_text(cell_of_108(), ['Cu'])


@pytest.mark.lammps
def test_the_input_runs_with_plain_lmp(tmp_path):
    elements = ['Cu', 'Au']
    (tmp_path / 'param.pod').write_text(parameter_text(elements, 'S', 4.5))
    (tmp_path / 'model.pod').write_text(coefficient_text(np.zeros(122)))
    (tmp_path / 'start.data').write_text(data_text(cell_of_108(), elements))
    run = NvtRun(temperature=300.0, timestep=2.0, steps=10, seed=7)
    text = nvt_input('start.data', pair_lines(elements, ZblCore(1.2, 1.6)), masses_of(elements), run)
    (tmp_path / 'in.nvt').write_text(text)
    done = subprocess.run(
        [lmp_binary(), '-in', 'in.nvt'], cwd=tmp_path, env=child_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-500:]
    assert 'Loop time' in done.stdout
