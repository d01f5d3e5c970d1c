"""Six rounds of the loop on Cu-Au, by each linear trainer: `python -m tests.benchmarks.loop [--data FOLDER]` from the root.

The configuration is that of `examples/cuau` in cells of 8 atoms, with 6 rounds, 50 first labels and 20 a round, and a ladder of
300, 900 and 1,500 K. It runs through the daemon of the profile (./setup_profile.sh); `--runs PK` judges runs that have ended.
FOLDER holds `pod/plain/test`, 100 frames of what it is for.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from aiida import load_profile, orm
from aiida.engine import submit
from ase.io import read

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.engines.ace.fit import AceSettings, fit_ace
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.remote.potential_files import lammps_potential
from aiida_mlip_autopipe.remote.train_linear import reference_energies
from aiida_mlip_autopipe.science.metrics import LabelErrors, label_errors
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain
from aiida_mlip_autopipe.workflows.train import TrainWorkChain
from tests.benchmarks.data import GROUPS, add_data_arguments, data_folder
from tests.benchmarks.figures import Figure, say

ROOT = Path(__file__).resolve().parents[2]
TRAINERS = {'ACE': 'mlip_autopipe.ace', 'POD': 'mlip_autopipe.pod'}
LOOP = {'max_rounds': 6, 'max_labels': 190, 'initial_labels': 50, 'labels_per_round': 20, 'patience': 6}
EXPLORE = {'temperatures': [300, 900, 1500], 'starts': 6, 'steps': 2000}
GENERATE = {
    'sqs': {'per_composition': 2, 'steps': 1000, 'cutoffs': [5.0]},
    'strain': {'count': 4, 'max_strain': 0.04, 'hydrostatic': [-0.06, -0.03, 0.03, 0.06]},
    'rattle': {'count': 6, 'stdev': 0.12},
    'vacancy': {'count': 2},
}
SMALLEST_RIDGE = 1e-12
POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Round:
    """A training of the loop.

    :param training: errors on the training set; `smallest` those of the same basis at the smallest ridge, the force in eV/Å.
    :param frozen: errors on the test set of the loop; `judged` those on the 100 frames of another origin.
    """

    n_train: int
    size: str
    training: dict[str, float]
    smallest: float
    frozen: dict[str, float]
    judged: LabelErrors


def configuration(trainer: str, seed: int) -> MLIPConfig:
    """Return the configuration of a run."""
    values = MLIPConfig.from_yaml(ROOT / 'examples/cuau/config.yaml').to_mapping()
    values['system']['supercells'] = [[2, 2, 2]]
    values['generate'] |= GENERATE
    values['explore'] = EXPLORE
    values['train'] = {'trainer': trainer, 'cutoff': 4.5}
    return MLIPConfig.from_mapping({**values, 'seed': seed, 'name': f'loop {trainer}', 'loop': {**values['loop'], **LOOP}})


def judged_rounds(node: orm.WorkChainNode, frames: Frames) -> list[Round]:
    """Return the errors of each round of a run."""
    trainings = [child for child in node.called if child.process_class is TrainWorkChain and 'report' in child.outputs]
    return [_judged(child, frames) for child in sorted(trainings, key=lambda child: child.pk)]


def _judged(child: orm.WorkChainNode, frames: Frames) -> Round:
    report = child.outputs.report.get_dict()
    potential, fit = child.outputs.potential, report['fit']
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        potential.write(folder)
        found = isolated(partial(evaluate_frames, frames, lammps_potential(potential.record)), folder)
    errors = label_errors(frames, found.energy, found.forces, found.stress)
    size = str(fit.get('basis') or max(fit['functions'].values()))
    n_train, smallest = len(child.inputs.train_frames), _smallest(child, size)
    return Round(n_train, size, report['train_errors'], smallest, report['test_errors'], errors)


def _smallest(child: orm.WorkChainNode, size: str) -> float:
    """Return the training error of the forces at the smallest ridge, eV/Å."""
    elements = tuple(child.inputs.elements.get_list())
    references = reference_energies(child.inputs.references.frames, elements)
    shared: dict[str, Any] = {'elements': elements, 'cutoff': 4.5, 'ridge': SMALLEST_RIDGE}
    frames = child.inputs.train_frames.frames
    with tempfile.TemporaryDirectory() as name:
        if size.isdigit():
            call: Any = partial(fit_ace, frames, references, AceSettings(**shared, functions=int(size)), Path(name))
        else:
            call = partial(fit_pod, frames, references, PodSettings(**shared, basis=size), Path(name))
        return float(isolated(call, Path(name)).report.errors.force)


def line(name: str, number: int, found: Round) -> str:
    """Return a round as a row of a table."""
    cells = [
        name,
        str(number),
        str(found.n_train),
        found.size,
        f'{1000 * found.training["energy_rmse"]:.2f}, {1000 * found.training["force_rmse"]:.1f}',
        f'{1000 * found.smallest:.1f}',
        f'{1000 * found.frozen["energy_rmse"]:.1f}, {1000 * found.frozen["force_rmse"]:.0f}',
        f'{1000 * found.judged.energy_rmse:.1f}, {1000 * found.judged.force_rmse:.1f}',
    ]
    return f'| {" | ".join(cells)} |'


def main(words: Sequence[str] | None = None) -> None:
    """Run the loops one after the other, judge each round, print the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_arguments(parser)
    parser.add_argument('--seeds', type=int, nargs='*', default=[1, 2])
    parser.add_argument('--trainers', nargs='*', choices=TRAINERS, default=list(TRAINERS))
    parser.add_argument('--runs', type=int, nargs='*', help='PKs of finished runs to judge in place of new ones')
    arguments = parser.parse_args(words)
    if arguments.quick and not arguments.runs:
        say('not measured: the quick size has no time for a run of its own, it judges runs that have ended (--runs PK)')
        return
    load_profile()
    with data_folder(arguments) as data:
        frames = Frames.from_atoms([a for group in GROUPS for a in read(data / f'pod/plain/test/{group}.xyz', ':')])
    runs = [orm.load_node(pk) for pk in arguments.runs or []]
    if not runs:
        runs = [run(TRAINERS[trainer], seed) for seed in arguments.seeds for trainer in arguments.trainers]
    ratios = []
    say('| run | round | training frames | basis | training meV/atom, meV/Å | smallest ridge meV/Å | frozen | 100 frames |')
    say('|---|---|---|---|---|---|---|---|')
    for node in runs:
        name = f'{node.label} {node.pk} ({node.outputs.report["stop_reason"]})'
        for number, found in enumerate(judged_rounds(node, frames)):
            say(line(name, number, found))
            ratios.append(found.training['force_rmse'] / found.smallest)
    figure = Figure('training error of a round / that of the smallest ridge, worst', float(np.max(ratios)), 2.0)
    say(figure.line())


def run(trainer: str, seed: int) -> orm.WorkChainNode:
    """Return a run of the loop that has ended."""
    builder = ActiveLearningWorkChain.get_builder_from_config(configuration(trainer, seed))
    builder.metadata.label = f'{trainer} seed {seed}'
    node = submit(builder)
    say(json.dumps({'submitted': node.pk, 'trainer': trainer, 'seed': seed}))
    while not node.is_terminated:
        time.sleep(POLL_SECONDS)
    return node


if __name__ == '__main__':
    main()
