"""How many test frames give an interval worth having: `python -m tests.benchmarks.testset [--data FOLDER]` from the root.

POD is fitted to 50 of the 100 training frames of FOLDER/pod/plain (Cu-Au, EMT) and judged on its 100 test frames, six kinds of
them. Sets of fewer test frames are drawn from these, kinds as evenly as can be: how wide is their 90 % interval, and how often
does it hold the error of the 100, each kind weighted alike? One thread, half a minute.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from ase.io import read

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.science.metrics import GroupErrors, group_errors
from aiida_mlip_autopipe.science.testset import choose
from tests.benchmarks.data import GROUPS, add_data_arguments, data_folder
from tests.benchmarks.figures import Figure, say
from tests.benchmarks.train import cu_au
from tests.pod_data import potential_of

COUNTS = (6, 12, 18, 24, 36, 48)
TRAINING = 50
SETS = 200
"""Test sets that are drawn of each size."""


def predicted(data: Path) -> tuple[Frames, FloatArray, FloatArray]:
    """Return the test frames, their config_type the kind, and the energies and forces predicted for them."""
    problem = cu_au(data, TRAINING)
    kinds = [group for group in GROUPS for _ in read(data / f'pod/plain/test/{group}.xyz', ':')]
    test = problem.test.replace(config_type=np.array(kinds))
    settings = PodSettings(elements=problem.elements, cutoff=problem.pod_cutoff)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fit = isolated(partial(fit_pod, problem.train, problem.references, settings, folder), folder)
        found = isolated(partial(evaluate_frames, test, potential_of(fit, folder)), folder)
    return test, found.energy, found.forces


def errors_of(frames: Frames, energy: FloatArray, forces: FloatArray, rows: FloatArray, seed: int) -> GroupErrors:
    """Return the errors of some of the frames."""
    atoms = np.concatenate([np.arange(frames.offsets[row], frames.offsets[row + 1]) for row in rows])
    return group_errors(frames.take(rows), energy[rows], forces[atoms], groups=['all'] * len(rows), seed=seed)['all']


def evenly(frames: Frames, count: int, rng: np.random.Generator) -> FloatArray:
    """Return frames, kinds as evenly as can be."""
    cells = [(kind, 'any') for kind in frames.config_type.tolist()]
    return choose(cells, frames.lineage.tolist(), count, rng)


def main() -> None:
    """Print a row for each number of test frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_arguments(parser)
    arguments = parser.parse_args()
    counts, n_sets = ((24,), 5) if arguments.quick else (COUNTS, SETS)
    with data_folder(arguments) as data:
        frames, energy, forces = predicted(data)
    rng = np.random.default_rng(0)
    truth = errors_of(frames, energy, forces, evenly(frames, 60, rng), 0)  # ten of each kind
    say(f'all: {1000 * truth.energy_rmse:.1f} meV/atom, {1000 * truth.force_rmse:.1f} meV/Å')
    say('| test frames | interval / error, force | energy | held, force | energy |')
    say('|---|---|---|---|---|')
    for count in counts:
        widths, held = np.zeros((n_sets, 2)), np.zeros((n_sets, 2))
        for index in range(n_sets):
            found = errors_of(frames, energy, forces, evenly(frames, count, rng), index)
            for column, name in enumerate(('force', 'energy')):
                (low, high), error = getattr(found, f'{name}_interval'), getattr(found, f'{name}_rmse')
                widths[index, column] = (high - low) / error
                held[index, column] = low <= getattr(truth, f'{name}_rmse') <= high
        width, share = np.median(widths, axis=0), held.mean(axis=0)
        say(f'| {count} | {width[0]:.2f} | {width[1]:.2f} | {share[0]:.2f} | {share[1]:.2f} |')
        if count == 24:
            say(Figure('interval of the force error / error, 24 test frames', float(width[0]), 1.0).line())


if __name__ == '__main__':
    main()
