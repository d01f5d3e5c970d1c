"""What selecting costs, as ratios measured in one run: `python -m tests.benchmarks.selection [--quick]` from the root.

Farthest-point sampling against scikit-matter's and against the limit of memory bandwidth: as many passes of `X @ v` over the
same array as there are picks. MACE in batches against `MACECalculator` one by one. One thread for BLAS; our sampling uses all
cores itself, so CPU times are given, too. The repeats of what is compared are interleaved. Most of the time goes into the
features of 100,000 structures; with `--features FILE` they are kept, and read the next time.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.build import bulk
from skmatter.sample_selection import FPS

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.engines.mace.mace import evaluate
from aiida_mlip_autopipe.engines.mace.model import MaceModel, quiet
from aiida_mlip_autopipe.engines.mace.reduce import per_structure
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.selection.fps import farthest_points
from aiida_mlip_autopipe.science.selection.funnel import standardise
from tests.benchmarks.explore import interleaved, ratios, tell
from tests.benchmarks.figures import Figure, one_thread, say

MODEL = Path(__file__).parents[2] / 'examples' / 'almg' / 'surrogate.model'
LATTICE = {'Al': 3.95, 'Mg': 4.40}
"""Å, of the demo."""

ELEMENTS = ('Al', 'Mg')


@dataclass(frozen=True)
class Size:
    """How much is measured: random points and their columns, real structures, picks; frames of 32 atoms; repeats.

    :param precisions: of MACE, each with one thread, and where `all_threads` with those of the machine, too.
    """

    points: int
    columns: int
    structures: int
    picks: int
    frames: int
    repeats: int
    precisions: tuple[str, ...] = ('float32', 'float64')
    all_threads: bool = True


FULL = Size(points=100_000, columns=256, structures=100_000, picks=1000, frames=64, repeats=3)
QUICK = Size(8000, 64, structures=50, picks=20, frames=2, repeats=1, precisions=('float64',), all_threads=False)


def main() -> None:
    """Measure, tell what was seen, and end with the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='small and noisy: only shows that the script works')
    parser.add_argument('--features', type=Path, help='.npy file with the real descriptors; written where it is missing')
    options = parser.parse_args()
    one_thread()
    size = QUICK if options.quick else FULL
    random = np.random.default_rng(0).standard_normal((size.points, size.columns)).astype(np.float32)
    figures = [
        *sampling('random numbers', random, size, 1.1),
        *sampling('MACE features of Al-Mg structures', real_features(size, options.features), size, 0.5),
        *(
            figure
            for threads in ((1, len(os.sched_getaffinity(0))) if size.all_threads else (1,))
            for dtype in size.precisions
            for figure in batches(dtype, size, threads)
        ),
    ]
    say('')
    for figure in figures:
        say(figure.line())


def sampling(what: str, features: npt.NDArray[np.float32], size: Size, target: float) -> list[Figure]:
    """Return the time of our sampling over the limit and over scikit-matter's, and whether the picks are the same."""
    picks: dict[str, npt.NDArray[np.int64]] = {}
    vector = features[0].copy()

    def limit() -> None:
        for _ in range(size.picks):
            features @ vector

    def ours() -> None:
        picks['ours'] = farthest_points(features, size.picks)

    def theirs() -> None:
        picks['theirs'] = FPS(initialize=int(picks['ours'][0]), n_to_select=size.picks).fit(features).selected_idx_

    name = f'FPS of {size.picks} from {features.shape[0]} x {features.shape[1]} {what}'
    times = interleaved({'limit': limit, 'ours': ours}, size.repeats) | interleaved({'theirs': theirs}, 1)
    say(f'{name}:')
    tell(times)
    in_double = FPS(initialize=int(picks['ours'][0]), n_to_select=size.picks).fit(features.astype(np.float64)).selected_idx_
    say(
        f'  picks that differ from those of scikit-matter in double precision: {int((picks["ours"] != in_double).sum())}; '
        f'its own in float32: {int((picks["theirs"] != in_double).sum())}'
    )
    return [
        *ratios(f'{name}: ours / limit', times, ('ours', 'limit'), target),
        *ratios(f'{name}: ours / scikit-matter', {**times, 'ours': times['ours'][-1:]}, ('ours', 'theirs'), 1.0),
        Figure(
            f'{name}: picks that are not those of scikit-matter in double precision',
            float((picks['ours'] != in_double).sum()),
            0.0,
        ),
    ]


def real_features(size: Size, path: Path | None) -> npt.NDArray[np.float32]:
    """Return the standardised features of generated Al-Mg structures, as stage select makes them with the demo's model."""
    if path is not None and path.exists():
        return np.asarray(np.load(path), dtype=np.float32)
    frames = candidates(size.structures)
    model = MaceModel.load(MODEL, device='cpu', dtype='float32')
    started = time.monotonic()
    descriptors = evaluate(model, frames).descriptors
    say(f'MACE on {len(frames)} structures of {frames.counts.mean():.1f} atoms: {time.monotonic() - started:.0f} s')
    features = standardise(per_structure(descriptors, frames, ELEMENTS, 'mean_std')).astype(np.float32)
    if path is not None:
        np.save(path, features)
    return features


def candidates(count: int) -> Frames:
    """Return so many structures of the project's generator: the system of the demo, with more of each kind."""
    values = MLIPConfig.from_yaml(MODEL.parent / 'config.yaml').to_mapping()
    each = -(-count // 50)  # at least 50 base structures
    values['generate'] = {
        'sqs': {'per_composition': 12, 'steps': 200, 'cutoffs': [5.0]},
        'strain': {'count': -(-each // 3), 'max_strain': 0.05, 'hydrostatic': [-0.06, -0.03, 0.03, 0.06]},
        'rattle': {'count': each, 'stdev': 0.12},
        'vacancy': {'count': -(-each // 6), 'n_vacancies': 1},
    }
    rng = np.random.default_rng(1)
    config = MLIPConfig.from_mapping(values)
    builder = structure_builder(config.system.model_dump(), config.generate.model_dump())
    frames = Frames.from_atoms(builder.build(rng))
    return frames.take(rng.permutation(len(frames))[:count])


def crystals(count: int, rng: np.random.Generator) -> list[Atoms]:
    """Return strained and rattled Al-Mg crystals of 32 atoms."""
    found = []
    for _ in range(count):
        share = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0])
        atoms = bulk('Al', a=LATTICE['Al'] * (1 - share) + LATTICE['Mg'] * share, cubic=True) * 2
        atoms.symbols[rng.permutation(32)[: round(32 * share)]] = 'Mg'
        strain = rng.uniform(-0.04, 0.04, (3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += rng.normal(0, rng.choice([0.03, 0.1, 0.2]), atoms.positions.shape)
        found.append(atoms)
    return found


def batches(dtype: str, size: Size, threads: int) -> list[Figure]:
    """Return structures per second in batches over those of `MACECalculator` one by one, and the largest difference of forces.

    :param threads: of PyTorch, the same for both.
    """
    import torch  # noqa: PLC0415

    torch.set_num_threads(threads)
    with quiet():
        from mace.calculators import MACECalculator  # noqa: PLC0415  # takes seconds

        calculator = MACECalculator(model_paths=str(MODEL), device='cpu', default_dtype=dtype)
    model = MaceModel.load(MODEL, device='cpu', dtype='float64' if dtype == 'float64' else 'float32')
    frames = crystals(size.frames, np.random.default_rng(2))
    forces: dict[str, npt.NDArray[np.float64]] = {}

    def ours() -> None:
        forces['ours'] = evaluate(model, frames).forces

    def theirs() -> None:
        forces['theirs'] = np.concatenate([one(atoms) for atoms in frames])

    def one(atoms: Atoms) -> npt.NDArray[np.float64]:
        copy = atoms.copy()
        copy.calc = calculator
        copy.get_potential_energy()
        return np.asarray(copy.get_forces())

    def all_of_theirs() -> None:
        theirs()
        for atoms in frames:
            calculator.get_descriptors(atoms)

    runs = {'batches': ours, 'one by one': theirs, 'with descriptors': all_of_theirs}
    for warm_up in runs.values():  # TorchScript compiles in the first calls
        warm_up()
    times = interleaved(runs, size.repeats)
    name = f'MACE, {size.frames} frames of 32 atoms, {dtype}, {threads} thread(s)'
    say(f'{name}:')
    tell(times)
    return [
        *ratios(
            f'{name}: structures per second, batches / one by one', times, ('one by one', 'batches'), 3.0, is_lower_bound=True
        ),
        *ratios(f'{name}: the same, with descriptors in both', times, ('with descriptors', 'batches'), 3.0, is_lower_bound=True),
        Figure(
            f'{name}: largest difference of a force, eV/Å',
            float(np.abs(forces['ours'] - forces['theirs']).max()),
            1e-6 if dtype == 'float64' else None,
        ),
    ]


if __name__ == '__main__':
    main()
