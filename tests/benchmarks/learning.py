"""Labels bought against error: `python -m tests.benchmarks.learning [--data FOLDER | --quick] [--seeds 1 2 3]` from the root.

Cu-Au by EMT with the settings of `examples/cuau/config.yaml`. Ways to choose what is labelled are compared on 100 frames of
another origin, `pod/plain/test` in FOLDER:

- the loop, which explores with its own potential and chooses among the candidates by D-optimality, or at random among those
  above the threshold of the grade (the rule of aiida-trains-pot);
- no loop: as many frames from all that the D-optimal loop had to choose from, at random or by farthest points, and at random
  from what was generated.

The stages run in this process with the settings of the configuration. What is measured is kept in FILE at once
(`docs/learning.json`), and not again measured when it is there. It writes `docs/learning.png`. One thread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import read

from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.engines.lammps.descriptors import atom_rows
from aiida_mlip_autopipe.engines.pod.descriptors import pod_features
from aiida_mlip_autopipe.science.metrics import label_errors
from aiida_mlip_autopipe.science.selection.d_optimal import d_optimal_frames
from aiida_mlip_autopipe.science.selection.fps import farthest_points
from aiida_mlip_autopipe.science.selection.funnel import AtomSelector, FunnelLimits, Screened, Selector, select
from aiida_mlip_autopipe.science.selection.quotas import Quotas
from aiida_mlip_autopipe.science.selection.random_points import random_points
from aiida_mlip_autopipe.science.selection.sanity import SanityLimits
from aiida_mlip_autopipe.science.starts import start_structures
from tests.benchmarks.chain import Fitted, apart, explored, fitted, generated, judged, labelled
from tests.benchmarks.data import GROUPS, add_data_arguments, data_folder
from tests.benchmarks.figures import Figure, one_thread, say

ROOT = Path(__file__).resolve().parents[2]
TRAINERS = {'ACE': 'mlip_autopipe.ace', 'POD': 'mlip_autopipe.pod'}
FUNCTIONS = 'auto'

D_OPTIMAL, AT_RANDOM = 'loop, D-optimal', 'loop, above threshold at random'
FROM_POOL, FPS_POOL, FROM_GENERATED = 'random from the pool', 'FPS from the pool', 'random from the generated'
WAYS = (D_OPTIMAL, AT_RANDOM, FROM_POOL, FPS_POOL, FROM_GENERATED)
LABELS = (20, 30, 40, 50, 60, 70)
POOL_LABELS = (40, 70, 200)
BUDGET = 70
FROZEN_SEED = 5000
FROZEN_FRAMES = 40
RESAMPLES = 500

QUICK_WAYS = (D_OPTIMAL, FPS_POOL)
QUICK_LABELS = 10
QUICK = {
    'system': {'supercells': [[2, 2, 2]]},
    'generate': {'rattle': {'count': 1}, 'sqs': {'steps': 10, 'cutoffs': [4.0]}},
    'explore': {'starts': 1, 'temperatures': [1000], 'steps': 40},
    'loop': {'initial_labels': 8, 'labels_per_round': 4},
}
"""Sections of the configuration in the quick size, in which `QUICK_LABELS` are bought."""


@dataclass(frozen=True)
class Point:
    """A fit.

    :param labels: bought so far, isolated atoms not counted.
    :param error: meV/Å, on the 100 frames; `energy` meV/atom; `by_group` meV/Å of each of their kinds.
    :param frozen: meV/Å, on frames made as the first ones, and the upper end of its interval of 90 %.
    :param candidates: found with this potential.
    :param ends: why its trajectories ended.
    """

    labels: int
    size: str
    training: float
    error: float
    energy: float
    by_group: dict[str, float]
    frozen: tuple[float, float] = (0.0, 0.0)
    candidates: int = 0
    ends: str = ''
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Bench:
    """What all runs of one trainer and seed share: the configuration, and the frames that judge."""

    config: MLIPConfig
    seed: int
    test: Frames
    frozen: Frames
    budget: int = BUDGET
    pool_labels: tuple[int, ...] = POOL_LABELS

    def judge(self, found: Fitted, labels: int, **facts: Any) -> Point:
        """Return the point of a fit."""
        both = Frames.concatenate([self.test, self.frozen])
        forces = judged(found, both)
        n_test = len(self.test)
        errors = label_errors(self.test, forces.energy[:n_test], forces.forces[: both.offsets[n_test]], None)
        squares = ((forces.forces - both.forces) ** 2).mean(axis=1)
        per_frame = np.array([squares[both.rows(index)].sum() for index in range(len(both))])
        kinds = self.test.config_type
        by_group = {
            kind: 1000 * _rms(per_frame[:n_test][kinds == kind], self.test.counts[kinds == kind])
            for kind in dict.fromkeys(kinds.tolist())
        }
        return Point(
            labels=labels,
            size=found.size,
            training=found.training_error,
            error=1000 * errors.force_rmse,
            energy=1000 * errors.energy_rmse,
            by_group=by_group,
            frozen=_interval(per_frame[n_test:], self.frozen.counts, self.frozen.lineage.tolist()),
            **facts,
        )

    def selected(
        self, frames: Frames, known: Frames | None, budget: int, pick: Selector | AtomSelector, rng: np.random.Generator
    ) -> IntArray:
        """Return what stage select takes."""
        settings = self.config.select
        elements = sorted(self.config.system.elements)

        def features(some: Frames) -> FloatArray:
            return pod_features(some, elements=elements, cutoff=settings.descriptor_cutoff)

        limits = FunnelLimits(
            budget,
            SanityLimits(min_bond_fraction=settings.min_bond_fraction, max_skew=settings.max_skew),
            settings.duplicate_tolerance,
            quotas=Quotas(settings.quotas.config_type, settings.quotas.composition),
            first=frozenset(settings.first if known is None else ()),
        )
        screen = lambda some: Screened(apart(Path(), features, some))  # noqa: E731
        return select(frames, known=known, screen=screen, limits=limits, pick=pick, rng=rng).indices


@cache
def bench_of(trainer: str, seed: int, data: Path, functions: str = FUNCTIONS, *, is_quick: bool = False) -> Bench:
    """Return the bench of a trainer and a seed: the example without the core, which takes time.

    :param functions: of ACE, a number for each element or auto.
    """
    values = MLIPConfig.from_yaml(ROOT / 'examples/cuau/config.yaml').to_mapping()
    values['explore'].pop('explorer')
    for name, section in QUICK.items() if is_quick else ():
        values[name] |= section
    size = int(functions) if functions.isdigit() else functions
    own = {'functions': size} if trainer == 'ACE' else {}
    values['train'] = {'trainer': TRAINERS[trainer], 'cutoff': values['train']['cutoff'], 'core_repulsion': False, **own}
    config = MLIPConfig.from_mapping(values)
    made = generated(config, seed + FROZEN_SEED)
    chosen = np.random.default_rng(seed).permutation(len(made))[:FROZEN_FRAMES]
    limits = (QUICK_LABELS, (QUICK_LABELS,)) if is_quick else ()
    return Bench(config, seed, test_frames(data), labelled(made.take(chosen), config.label.force_cap), *limits)


def test_frames(data: Path) -> Frames:
    """Return the 100 frames of another origin, their kind as config_type."""
    found = []
    for group in GROUPS:
        for atoms in read(data / f'pod/plain/test/{group}.xyz', ':'):
            atoms.info['config_type'] = group
            found.append(atoms)
    return Frames.from_atoms(found)


def run_loop(bench: Bench, way: str, pool: Frames) -> tuple[list[Point], Frames, Frames]:
    """Return a point for each fit of a run of the loop, all frames that it could have bought, and its training set."""
    config, rng = bench.config, np.random.default_rng(bench.seed)
    bases = pool.take(np.flatnonzero(pool.uid == pool.lineage))
    first = bench.selected(pool, None, config.loop.initial_labels, farthest_points, rng)
    train, labels = labelled(pool.take(first), config.label.force_cap), len(first)
    everything, points = [pool], list[Point]()
    with tempfile.TemporaryDirectory() as place:
        while True:
            since, number = time.perf_counter(), len(points)
            folder = Path(place) / str(number)
            folder.mkdir()
            found = fitted(config, train, folder)
            starts = start_structures(bases, count=config.explore.starts, supercell=config.explore.supercell, rng=rng)
            findings = explored(config, found, starts, number + 1, rng) if labels < bench.budget else None
            runs = findings.runs if findings is not None else []
            facts = {
                'candidates': len(findings.candidates) if findings is not None else 0,
                'ends': ' '.join(f'{run["temperature"]:.0f}:{run["reason"]}@{run["steps_done"]}' for run in runs),
                'seconds': time.perf_counter() - since,
            }
            points.append(bench.judge(found, labels, **facts))
            say(f'{way}, seed {bench.seed}: {line(points[-1])}')
            if findings is None or not findings.candidates:
                return points, Frames.concatenate(everything), train
            candidates = Frames.from_atoms(findings.candidates)
            everything.append(candidates)
            pick = random_points if way == AT_RANDOM else AtomSelector(d_optimal_frames, _describe(found), train)
            chosen = bench.selected(candidates, train, min(config.loop.labels_per_round, bench.budget - labels), pick, rng)
            new = labelled(candidates.take(chosen), config.label.force_cap)
            if not len(new):
                return points, Frames.concatenate(everything), train
            labels, train = labels + len(chosen), Frames.concatenate([train, new])


def from_pool(bench: Bench, way: str, pool: Frames) -> list[Point]:
    """Return a point for each number of labels, chosen from a pool without a loop."""
    rng = np.random.default_rng(bench.seed)
    pick = farthest_points if way == FPS_POOL else random_points
    order = bench.selected(pool, pool.take([]), max(bench.pool_labels), pick, rng)
    points = []
    for count in sorted({min(count, len(order)) for count in bench.pool_labels}):
        with tempfile.TemporaryDirectory() as folder:
            found = fitted(bench.config, labelled(pool.take(order[:count]), bench.config.label.force_cap), Path(folder))
            points.append(bench.judge(found, count))
        say(f'{way}, seed {bench.seed}: {line(points[-1])}')
    return points


def line(point: Point) -> str:
    """Return a point as text."""
    groups = ', '.join(f'{name} {value:.0f}' for name, value in point.by_group.items())
    return (
        f'{point.labels} labels, basis {point.size}: {point.error:.1f} meV/Å, {point.energy:.2f} meV/atom ({groups}); training '
        f'{point.training:.1f}, frozen {point.frozen[0]:.1f} up to {point.frozen[1]:.1f}; {point.candidates} candidates; '
        f'{point.ends}; {point.seconds:.0f} s'
    )


Curves = dict[str, list[Point]]
"""By `trainer, way, seed`."""


def key_of(trainer: str, way: str, seed: int) -> str:
    """Return the name of a curve."""
    return f'{trainer}; {way}; {seed}'


def measured(bench: Bench, way: str, pool_file: Path) -> list[Point]:
    """Return a curve; the D-optimal loop leaves all frames that it could have bought in a file, which others choose from."""
    made = generated(bench.config, bench.seed)
    if way == AT_RANDOM:
        return run_loop(bench, way, made)[0]
    if way == D_OPTIMAL:
        points, everything, train = run_loop(bench, way, made)
        everything.save(pool_file)
        train.save(pool_file.with_name(f'{pool_file.stem}_train.npz'))
        return points
    if way != FROM_GENERATED and not pool_file.exists():
        raise SystemExit(f'{way}: there is no {pool_file}; the way {D_OPTIMAL!r} of this seed leaves it')
    return from_pool(bench, way, made if way == FROM_GENERATED else Frames.load(pool_file))


def error_at(points: list[Point], labels: int) -> float:
    """Return the error of the last fit with at most so many labels, meV/Å; not a number where there is none."""
    return next((point.error for point in reversed(points) if point.labels <= labels), float('nan'))


def table(trainer: str, curves: Curves) -> list[str]:
    """Return mean and standard deviation over seeds of each way, by number of labels; nothing where nothing was measured."""
    columns = [*LABELS, max(POOL_LABELS)]
    lines = [f'| {trainer} | {" | ".join(f"{count} labels" for count in columns)} |', '|---' * (1 + len(columns)) + '|']
    for way in WAYS:
        if own := _of(curves, trainer, way):
            cells = [_cell(own, count, is_loop=way in (D_OPTIMAL, AT_RANDOM)) for count in columns]
            lines.append(f'| {way} ({len(own)} seeds) | {" | ".join(cells)} |')
    return lines if len(lines) > 2 else []


def _cell(own: list[list[Point]], count: int, *, is_loop: bool) -> str:
    """Return the errors of all seeds: of a loop at its last fit with so many labels, else at just so many."""
    if is_loop:
        values = [error_at(points, count) for points in own if count <= BUDGET]
    else:
        values = [point.error for points in own for point in points if point.labels == count]
    return f'{np.mean(values):.1f} ± {np.std(values):.1f}' if values else ''


def rises(points: list[Point]) -> int:
    """Return the number of rounds after which the error on the frozen set lies above the interval of the round before."""
    return sum(later.frozen[0] > earlier.frozen[1] for earlier, later in pairwise(points))


def figures(trainer: str, curves: Curves) -> list[Figure]:
    """Return the figures of a trainer."""
    loops = _of(curves, trainer, D_OPTIMAL)
    if not loops:
        return []
    targets = {'ACE': (12.0, 1.0)}.get(trainer, (None, None))
    at_60 = [error_at(points, 60) for points in loops]
    found = [
        Figure(f'{trainer}, loop with 60 labels, mean of {len(loops)} seeds, meV/Å', float(np.mean(at_60)), targets[0]),
        Figure(f'{trainer}, the same, worst seed', max(at_60), targets[0]),
        Figure(f'{trainer}, rounds with a rise on the frozen set beyond its interval', sum(map(rises, loops)), 0.0),
    ]
    for way in (FROM_POOL, FROM_GENERATED):
        pairs = [
            (error_at(curves[key_of(trainer, D_OPTIMAL, seed)], 70), points[-1].error)
            for seed, points in _by_seed(curves, trainer, way).items()
            if key_of(trainer, D_OPTIMAL, seed) in curves
        ]
        if pairs:
            ratio = float(np.mean([one for one, _ in pairs]) / np.mean([two for _, two in pairs]))
            found.append(
                Figure(
                    f'{trainer}, error of the loop with 70 labels / of {max(POOL_LABELS)} labels {way}, or all', ratio, targets[1]
                )
            )
    return found


def plot(curves: Curves, path: Path) -> None:
    """Draw each way: thin lines for seeds, a thick one for their mean at the same round."""
    import matplotlib.pyplot as plt  # noqa: PLC0415  # takes seconds

    trainers = [trainer for trainer in TRAINERS if any(name.startswith(f'{trainer};') for name in curves)]
    figure, axes = plt.subplots(1, len(trainers), figsize=(6.5 * len(trainers), 4.5), squeeze=False, sharey=True)
    for axis, trainer in zip(axes[0], trainers, strict=True):
        for colour, way in zip(('C3', 'C1', 'C0', 'C2', 'C7'), WAYS, strict=True):
            for index, points in enumerate(_of(curves, trainer, way)):
                labels, errors = [point.labels for point in points], [point.error for point in points]
                style = '-' if way in (D_OPTIMAL, AT_RANDOM) else '--'
                axis.plot(labels, errors, style, color=colour, lw=1.2, marker='.', label=None if index else way)
        axis.axhline(12.0, color='0.6', lw=0.8)
        axis.set(xscale='log', yscale='log', xlabel='labels bought', title=trainer)
        for line_of, ticks in ((axis.xaxis, (15, *LABELS, 100, 200)), (axis.yaxis, (8, 10, 12, 15, 20, 30, 50, 100))):
            line_of.set_ticks(ticks, labels=list(map(str, ticks)))
            line_of.set_ticks([], minor=True)
    axes[0][0].set_ylabel('force error on 100 frames from elsewhere, meV/Å')
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def load(path: Path) -> Curves:
    """Return the curves of a file; none where there is no file."""
    if not path.exists():
        return {}
    stored: Mapping[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding='utf-8'))
    return {name: [Point(**{**point, 'frozen': tuple(point['frozen'])}) for point in points] for name, points in stored.items()}


def save(curves: Curves, path: Path) -> None:
    """Write the curves to a file."""
    text = json.dumps({name: [asdict(point) for point in points] for name, points in curves.items()}, indent=1)
    path.write_text(text, encoding='utf-8')


def main() -> None:
    """Measure what is missing, print the tables and the figures, and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_arguments(parser)
    parser.add_argument('--seeds', type=int, nargs='*', default=[1, 2, 3, 4, 5])
    parser.add_argument('--functions', default=FUNCTIONS, help='of ACE for each element, or auto; give it a FILE of its own')
    parser.add_argument('--ways', nargs='*', choices=WAYS, default=list(WAYS))
    parser.add_argument('--trainers', nargs='*', choices=TRAINERS, default=list(TRAINERS))
    parser.add_argument('--keep', type=Path, default=ROOT / 'docs/learning.json')
    parser.add_argument('--pools', type=Path, default=Path('/tmp/learning'), help='what the loops could have bought')
    parser.add_argument('--plot', type=Path, default=ROOT / 'docs/learning.png')
    arguments = parser.parse_args()
    one_thread()
    with data_folder(arguments) as data:
        if arguments.quick:
            arguments.seeds, arguments.ways, arguments.functions = [1], list(QUICK_WAYS), '20'
            arguments.keep, arguments.pools, arguments.plot = data / 'learning.json', data, data / 'learning.png'
        curves = measure(arguments, data)
        plot(curves, arguments.plot)
    for trainer in TRAINERS:
        for text in table(trainer, curves):
            say(text)
    for trainer in TRAINERS:
        for figure in figures(trainer, curves):
            say(figure.line())


def measure(arguments: argparse.Namespace, data: Path) -> Curves:
    """Return the curves that are kept, with those that were missing, which are kept from now on."""
    arguments.pools.mkdir(parents=True, exist_ok=True)
    curves, ways = load(arguments.keep), [way for way in WAYS if way in arguments.ways]  # a pool is there before it is used
    for trainer, seed in product(arguments.trainers, arguments.seeds):
        pool_file = arguments.pools / f'{trainer}_{seed}.npz'
        missing = [way for way in ways if key_of(trainer, way, seed) not in curves]
        if {FROM_POOL, FPS_POOL} & set(missing) and not pool_file.exists():
            missing = list(dict.fromkeys([D_OPTIMAL, *missing]))
        for way in missing:
            bench = bench_of(trainer, seed, data, arguments.functions, is_quick=arguments.quick)
            curves[key_of(trainer, way, seed)] = measured(bench, way, pool_file)
            save(curves, arguments.keep)
    return curves


def _describe(found: Fitted) -> Any:
    return lambda frames: apart(found.folder, atom_rows, frames, found.potential, found.folder)


def _of(curves: Curves, trainer: str, way: str) -> list[list[Point]]:
    return list(_by_seed(curves, trainer, way).values())


def _by_seed(curves: Curves, trainer: str, way: str) -> dict[int, list[Point]]:
    start = key_of(trainer, way, 0)[:-1]
    return {int(name.removeprefix(start)): points for name, points in curves.items() if name.startswith(start)}


def _rms(sums: FloatArray, counts: IntArray) -> float:
    return float(np.sqrt(sums.sum() / counts.sum()))


def _interval(sums: FloatArray, counts: IntArray, lineages: list[str]) -> tuple[float, float]:
    """Return the error, and the upper end of its interval of 90 % by bootstrap over lineages, meV/Å."""
    names, places = np.unique(lineages, return_inverse=True)
    of_lineage = [np.bincount(places, weights=column) for column in (sums, counts.astype(np.float64))]
    drawn = np.random.default_rng(0).integers(len(names), size=(RESAMPLES, len(names)))
    errors = np.sqrt(of_lineage[0][drawn].sum(axis=1) / of_lineage[1][drawn].sum(axis=1))
    return 1000 * _rms(sums, counts), 1000 * float(np.quantile(errors, 0.95))


if __name__ == '__main__':
    main()
