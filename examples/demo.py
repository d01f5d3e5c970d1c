"""Run a configuration from nothing to a tested potential, export it, and show that it works: demo.py CONFIG FOLDER."""

import argparse
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from aiida import load_profile, orm
from aiida.engine import Process, submit
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.calculations.evaluate import EvaluateCalculation
from aiida_mlip_autopipe.calculations.frames_functions import split_frames
from aiida_mlip_autopipe.calculations.linear_fit import AceCalculation
from aiida_mlip_autopipe.calculations.spec import job_options
from aiida_mlip_autopipe.cli.commands import submit_run
from aiida_mlip_autopipe.cli.export import export_run
from aiida_mlip_autopipe.cli.nodes import wait_for_end
from aiida_mlip_autopipe.cli.properties import properties_lines, submit_properties
from aiida_mlip_autopipe.common.errors import InputError, MlipError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace.pacemaker_settings import NAME as PACEMAKER
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.simulation import Simulation, SimulationKind
from aiida_mlip_autopipe.remote.potential_files import lammps_potential
from aiida_mlip_autopipe.workflows.edge import find_lammps_code
from aiida_mlip_autopipe.workflows.properties import PropertiesWorkChain
from aiida_mlip_autopipe.workflows.simulate import SimulateWorkChain
from aiida_mlip_autopipe.workflows.train import TrainWorkChain

MD = Simulation(SimulationKind.NVT, temperature=300, timestep=1.0, steps=1000, seed=4711)
VOLUMES = np.linspace(0.80, 1.20, 21)

POD_SETTINGS = {'trainer': 'mlip_autopipe.pod', 'cutoff': 4.5}
HELD_OUT = 0.2
"""Share of the training frames, in whole lineages, by which the last potential is chosen."""

POLL_SECONDS = 1.0

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


def run_md(potential: PotentialData, atoms: Atoms, config: MLIPConfig) -> str:
    """Run molecular dynamics with the potential, as a process, and return one sentence on how it ended."""
    worker = orm.load_code(config.worker.code)
    lammps = find_lammps_code(config)
    node = waited(
        SimulateWorkChain,
        potential=potential,
        frames=FramesData.from_atoms([atoms]).store(),
        settings=orm.Dict(MD.to_mapping()),
        worker_code=worker,
        metadata={'label': 'proof MD'},
        **({'lammps_code': lammps} if lammps is not None else {}),
    )
    if not node.is_finished_ok:
        raise SystemExit(f'MD with the potential did not come to its end: {node.exit_message} (verdi process report {node.pk})')
    ends = node.outputs.ends
    found = waited(EvaluateCalculation, code=worker, potential=potential, frames=ends, metadata={'options': job_options({})})
    grade = _grade(found.outputs.report['gamma_max'], config) if found.is_finished_ok else f'unknown ({found.exit_message})'
    program = next(child.process_label for child in node.called if isinstance(child, orm.CalcJobNode))
    return (
        f'{MD.steps} steps of NVT at {MD.temperature:g} K on {len(atoms)} atoms ({atoms.get_chemical_formula()}) by {program} '
        f'(process {node.pk}), no atom lost, extrapolation grade at the end {grade}'
    )


def _grade(gamma: float, config: MLIPConfig) -> str:
    """Return an extrapolation grade and what it means for the structures that have it."""
    known, limit = config.explore.gamma_select, config.explore.gamma_halt
    if gamma <= known:
        return f'{gamma:.2f} (gamma_select is {known:g}, so this cell is known)'
    told = (
        'so this cell is new but near to known ones'
        if gamma <= limit
        else 'so THIS CELL IS NOT KNOWN and its energy means nothing'
    )
    return f'{gamma:.2f} (gamma_halt is {limit:g}, {told})'


def properties(node: orm.WorkChainNode, potential: PotentialData, path: Path) -> list[str]:
    """Return the table of the physics gate of the potential: that of the run where it has one, else of one that is run now."""
    gates = [child for child in node.called if child.process_class is PropertiesWorkChain and 'report' in child.outputs]
    own = [gate for gate in gates if gate.inputs.potential.uuid == potential.uuid]
    gate = own[-1] if own else submit_properties(potential.uuid, path, wait=False)
    wait_for_end(gate)
    if 'report' not in gate.outputs:
        return [f'the physics gate has no report: {gate.exit_message} (verdi process report {gate.pk})']
    return properties_lines(gate.outputs.report.get_dict())


def energy_volume(potential: PotentialData, config: MLIPConfig, folder: Path) -> str:
    """Compute the energy-volume curve of the first pure base structure and return one sentence on its minimum."""
    element = config.system.elements[0]
    a = config.system.lattice_parameters[element]
    cells = [bulk(element, config.system.prototype, a=a * volume ** (1 / 3), cubic=True) for volume in VOLUMES]
    found = isolated(partial(evaluate_frames, Frames.from_atoms(cells), lammps_potential(potential.record)), folder).energy
    found = found / len(cells[0])
    minima = [i for i in range(1, len(found) - 1) if found[i] < found[i - 1] and found[i] < found[i + 1]]
    if len(minima) != 1:
        raise SystemExit(f'the energy-volume curve of {element} has {len(minima)} minima: {found.round(4).tolist()} eV/atom')
    start = a**3 / 4
    return (
        f'energy-volume curve of {element} from {VOLUMES[0]:.2f} to {VOLUMES[-1]:.2f} of {start:.2f} Å³/atom: '
        f'one minimum, at {VOLUMES[minima[0]] * start:.2f} Å³/atom'
    )


def configuration(path: Path, folder: Path, *, pod: bool) -> Path:
    """Return the configuration to run: the one that was given, or with POD as trainer a copy in `folder`."""
    if not pod:
        return path
    values = MLIPConfig.from_yaml(path).to_mapping()
    values['train'] = POD_SETTINGS
    values['explore'].pop('explorer')
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / 'config.yaml'
    copy.write_text(yaml.safe_dump(values, sort_keys=False), encoding='utf-8')
    return copy


def waited(process: type[Process], **inputs: Any) -> orm.ProcessNode:
    """Return a process that the daemon has run to its end."""
    node = submit(process, **inputs)
    while not node.is_terminated:
        time.sleep(POLL_SECONDS)
    return node


class LastFit:
    """A last fit by Pacemaker from the linear potential of a run, and the choice between the two.

    :param node: the run.
    """

    def __init__(self, node: orm.WorkChainNode, config: MLIPConfig) -> None:
        self.node, self.config = node, config
        self.worker = orm.load_code(config.worker.code)

    def chosen(self) -> PotentialData:
        """Return the better potential, and print the errors of both.

        A part of the training lineages is held out; both trainers fit the rest and are judged there. The winner is the one of
        the two fits to all training frames.
        """
        held = self._split()
        part = self._fit(held['train'], held['test'])
        errors = {'Pacemaker': self._error(part.outputs.potential, held['test'])}
        linear = next(child for child in part.called if child.process_class is AceCalculation)
        errors['linear ACE'] = self._error(linear.outputs.potential, held['test'])
        refined = self._fit(self.node.outputs.train_frames, self.node.outputs.test_frames, start=self.node.outputs.potential)
        potentials = {'linear ACE': self.node.outputs.potential, 'Pacemaker': refined.outputs.potential}
        frozen = {name: self._error(potential, self.node.outputs.test_frames) for name, potential in potentials.items()}
        print('\nA last fit by Pacemaker from the linear potential:')
        for name in potentials:
            print(
                f'  {name:<10} {_told(errors[name])} on lineages held out for the choice, {_told(frozen[name])} on the frozen set'
            )
        passed = {'linear ACE': True, 'Pacemaker': refined.is_finished_ok}
        best = min((name for name in potentials if passed[name]), key=lambda name: errors[name]['force_rmse'])
        if not refined.is_finished_ok:
            print(f'  Pacemaker did not pass: {refined.exit_message}')
        print(f'  the result is that of {best}')
        return potentials[best]

    def _split(self) -> dict[str, Any]:
        everything = self.node.outputs.train_frames
        parts, node = split_frames.run_get_node(everything, orm.Float(HELD_OUT), orm.Int(self.config.seed))
        if not node.is_finished_ok:
            raise InputError(f'no lineage of the training set can be held out for the choice: {node.exit_message}')
        return dict(parts)

    def _fit(self, train: orm.Data, test: orm.Data, start: PotentialData | None = None) -> orm.ProcessNode:
        shared = {'cutoff', 'core_repulsion', 'checks'}
        settings = {**self.config.train.model_dump(mode='json', include=shared), 'trainer': PACEMAKER}
        node = waited(
            TrainWorkChain,
            code=orm.load_code('pacemaker@localhost'),
            evaluate_code=self.worker,
            train_frames=train,
            test_frames=test,
            references=self.node.outputs.references,
            elements=orm.List(self.config.system.elements),
            settings=orm.Dict(settings),
            seed=orm.Int(self.config.seed),
            metadata={'label': 'Pacemaker from linear ACE'},
            **({'initial_potential': start} if start is not None else {}),
        )
        if 'potential' not in node.outputs:
            raise InputError(f'Pacemaker gave no potential: {node.exit_message} (verdi process report {node.pk})')
        return node

    def _error(self, potential: PotentialData, frames: orm.Data) -> dict[str, float]:
        options = job_options(self.config.worker.options.model_dump())
        node = waited(EvaluateCalculation, code=self.worker, potential=potential, frames=frames, metadata={'options': options})
        if not node.is_finished_ok:
            raise InputError(f'the potential {potential.pk} cannot be evaluated: {node.exit_message}')
        return node.outputs.report['errors']


def _told(errors: dict[str, float]) -> str:
    return f'{1000 * errors["energy_rmse"]:.2f} meV/atom {1000 * errors["force_rmse"]:.1f} meV/Å'


def main(config_path: Path, folder: Path, *, pod: bool, pacemaker: bool) -> None:
    """Run, export, prove, and say what to do next."""
    load_profile()
    config_path = configuration(config_path, folder, pod=pod)
    config = MLIPConfig.from_yaml(config_path)
    started = time.monotonic()
    node = submit_run(config_path, one_shot=False, wait=True)
    potential = LastFit(node, config).chosen() if pacemaker else node.outputs.potential
    minutes = (time.monotonic() - started) / 60
    target = folder / f'run-{node.pk}'
    files = target / 'potential'
    target.mkdir(parents=True, exist_ok=True)
    export_run(str(node.pk), db=folder / 'train.db', extxyz=target / 'train.xyz', potential=files)
    if potential.uuid != node.outputs.potential.uuid:
        files = target / 'potential-pacemaker'
        potential.write(files)
    report, verdict = node.outputs.report, node.outputs.report['verdict']
    best = next(entry for entry in report['rounds'] if entry['round'] == verdict['round'])
    print('\nDoes it work?')
    print(f'  {run_md(potential, random_alloy(config), config)}')
    print(f'  {energy_volume(potential, config, files)}')
    if config.properties is not None:
        print('\nThe potential against the labeller at equal settings:')
        for line in properties(node, potential, config_path):
            print(f'  {line}')
    print(f'\nDone in {minutes:.1f} minutes: run {node.pk}, {len(report["rounds"])} rounds, {report["labels_total"]} labels,')
    print(
        f'  {config.train.name}, round {verdict["round"]}, frozen test set of {best["n_test"]} frames: RMSE '
        f'{_told(best["test_errors"])}'
    )
    print(f'  {report["stop_reason"]}: {verdict["sentence"]}')
    print(f'  potential  {files}')
    print(f'  labels     {folder / "train.db"} and {target / "train.xyz"}')
    print('\nLook further (first: source .venv/bin/activate):')
    print(f'  verdi process status {node.pk}')
    print(f'  mlip-auto status {node.pk}')
    print(f'  python -c "{QUERY}"')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--pod', action='store_true', help='train POD in place of the trainer of the configuration')
    parser.add_argument('--pacemaker', action='store_true', help='a last fit by Pacemaker from the linear potential')
    asked = parser.parse_args()
    try:
        main(asked.config, asked.folder, pod=asked.pod, pacemaker=asked.pacemaker)
    except MlipError as error:
        sys.exit(f'Error: {error}')
