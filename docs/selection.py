"""Measures what selecting is worth, and writes the tables in `selection.md`.

Usage: python docs/selection.py [--out FOLDER] [--seeds NUMBER] [--pool FRAMES]. It needs mace-torch and LAMMPS.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
from calibration import AL_MG, ROOT, row, tried, write_page

from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.select.baselines import cur_points, maxvol_points, random_points
from aiida_mlip_autopipe.science.select.fps import farthest_points
from aiida_mlip_autopipe.science.select.funnel import standardise
from aiida_mlip_autopipe.science.surrogate.mace import evaluate
from aiida_mlip_autopipe.science.surrogate.model import MaceModel
from aiida_mlip_autopipe.science.surrogate.reduce import per_structure

ALMG: Final = ROOT / 'examples' / 'almg'
POOL: Final = 5000
TEST: Final = 500
TEST_SEED: Final = 1000
LABELS: Final = (50, 100, 200)
MORE: Final = ({'Al': 0.625, 'Mg': 0.375}, {'Al': 0.375, 'Mg': 0.625}, {'Al': 0.25, 'Mg': 0.75})
"""Compositions beside those of the demo."""

COUNTS: Final = {
    'sqs': {'per_composition': 10, 'steps': 200, 'cutoffs': [5.0]},
    'strain': {'count': 16, 'max_strain': 0.05, 'hydrostatic': [-0.06, -0.03, 0.03, 0.06]},
    'rattle': {'count': 56, 'stdev': 0.12},
    'vacancy': {'count': 12, 'n_vacancies': 1},
}
SELECTORS: Final[dict[str, Callable[..., IntArray]]] = {
    'random': random_points,
    'FPS': farthest_points,
    'CUR': cur_points,
    'MaxVol': maxvol_points,
}
METRICS: Final = ('RMSE of a force component', '99th percentile of the force error of an atom')
Results = dict[tuple[str, int], list[tuple[float, float]]]
"""By selector and number of labels, for each pool the two metrics in meV/Å."""


def candidates(seed: int, count: int) -> Frames:
    """Return so many frames of the project's generator on the system of the demo with more compositions."""
    system = MLIPConfig.from_yaml(ALMG / 'config.yaml').system.model_dump()
    system['compositions'] = [*system['compositions'], *MORE]
    rng = np.random.default_rng(seed)
    frames = Frames.from_atoms(structure_builder(system, COUNTS).build(rng))
    return frames.take(rng.permutation(len(frames))[:count])


def taught(frames: Frames, teacher: MaceModel) -> tuple[Frames, FloatArray]:
    """Return the frames with the teacher's labels, and their standardised features."""
    found = evaluate(teacher, frames)
    features = standardise(per_structure(found.descriptors, frames, ['Al', 'Mg'], 'mean_std'))
    everywhere = np.ones(len(frames), dtype=bool)
    labels = {'energy': found.energies, 'forces': found.forces, 'stress': found.stresses}
    return frames.replace(**labels, labelled=everywhere, has_stress=everywhere), features


def measured(seeds: Iterable[int], size: int, teacher: MaceModel, ridge: float | None) -> Results:
    """Return the force errors of the potentials that the selections give, one pool for each seed."""
    test, _ = taught(candidates(TEST_SEED, TEST), teacher)
    results: Results = {}
    for seed in seeds:
        pool, features = taught(candidates(seed, size), teacher)
        for (name, pick), count in ((item, n) for item in SELECTORS.items() for n in LABELS):
            chosen = pick(features, count, known=None, rng=np.random.default_rng(seed))
            error = 1e3 * tried(pool.take(chosen), test, AL_MG, basis='S', seed=seed, ridge=ridge).error
            figures = float(np.sqrt((error**2).mean() / 3)), float(np.percentile(error, 99))
            results.setdefault((name, count), []).append(figures)
            sys.stderr.write(f'pool {seed}, {name}, {count} labels: {figures[0]:.1f} {figures[1]:.0f} meV/Å\n')
    return results


def report(results: Results, facts: str) -> str:
    """Return the measured part of the page."""
    lines = [facts]
    for place, what in enumerate(METRICS):
        lines += ['', f'{what}, meV/Å:', '', row(['labels', *SELECTORS]), '|---' * (1 + len(SELECTORS)) + '|']
        for count in LABELS:
            values = [np.array([figures[place] for figures in results[name, count]]) for name in SELECTORS]
            cells = (f'{one.mean():.1f} ± {one.std(ddof=1):.1f} ({np.median(one):.1f})' for one in values)
            lines.append(row([str(count), *cells]))
    return '\n'.join([*lines, '', *failures(results)])


def failures(results: Results) -> list[str]:
    """Return a sentence on the fits that are off by more than twice the median of all."""
    limit = 2 * float(np.median([figures[0] for fits in results.values() for figures in fits]))
    found = [
        f'{name} {count} in pool {pool} ({fit[0]:.0f})'
        for (name, count), fits in results.items()
        for pool, fit in enumerate(fits)
        if fit[0] > limit
    ]
    n_fits = sum(map(len, results.values()))
    return [
        f'RMSE above {limit:.0f} meV/Å, twice the median of all fits: {len(found)} of {n_fits}: {"; ".join(found) or "none"}.'
    ]


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description='Measure what selecting is worth.')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs', help='folder of selection.md')
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--pool', type=int, default=POOL, help='frames of a pool')
    parser.add_argument('--ridge', type=float, help='of all fits; without it each chooses its own by evidence')
    arguments = parser.parse_args()
    started = time.monotonic()
    teacher = MaceModel.load(ALMG / 'surrogate.model', device='cpu', dtype='float32')
    results = measured(range(arguments.seeds), arguments.pool, teacher, arguments.ridge)
    facts = (
        f'{arguments.seeds} pools of {arguments.pool} frames (seeds 0 to {arguments.seeds - 1}), one test pool of {TEST} frames '
        f'(seed {TEST_SEED}), {(time.monotonic() - started) / 60:.0f} minutes. Mean ± standard deviation (median) over pools. '
        f'Ridge {arguments.ridge or "by evidence"}. Teacher: `examples/almg/surrogate.model`, sha256 `{teacher.sha256}`.'
    )
    write_page(arguments.out / 'selection.md', report(results, facts))


if __name__ == '__main__':
    main()
