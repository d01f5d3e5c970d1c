"""The frames that benchmarks are measured on: those of a folder, or small ones that are made on the spot."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.io import read, write

from tests import pod_data

GROUPS = ('rattled', 'strained', 'sqs', 'md', 'liquid', 'vacancy')
ALMG = Path(__file__).parents[1] / 'fixtures' / 'almg' / 'labelled.extxyz'
ALMG_FRAMES = 12


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Let the command line choose the folder of the frames, or small ones."""
    parser.add_argument('--data', type=Path, default=Path('../shared'))
    parser.add_argument('--quick', action='store_true', help='few small frames, made here: only shows that the script works')


@contextmanager
def data_folder(arguments: argparse.Namespace) -> Iterator[Path]:
    """Give the folder that the command line names, or a temporary one with small frames where it asks for the quick size."""
    if not arguments.quick:
        yield arguments.data
        return
    with tempfile.TemporaryDirectory(prefix='benchmark_') as name:
        _write_small(Path(name))
        yield Path(name)


def _write_small(folder: Path) -> None:
    """Write few small frames of each kind where the full ones lie; those of Si and Mo by a pair potential that is no good."""
    rng = np.random.default_rng(0)
    for part in ('train', 'test'):
        place = folder / 'pod/plain' / part
        place.mkdir(parents=True)
        for group in GROUPS:
            write(place / f'{group}.xyz', [pod_data.labelled(pod_data.alloy(rng, share)) for share in (0.25, 0.5)])
    (folder / 'almg').mkdir()
    write(folder / 'almg/labelled.extxyz', read(ALMG, f':{ALMG_FRAMES}'))
    (folder / 'mlearn').mkdir()
    for element in ('Si', 'Mo'):
        for part, count in (('training', 8), ('test', 2)):
            frames = [bulk(element, cubic=True) for _ in range(count)]
            for atoms in frames:
                atoms.rattle(0.1, rng=rng)
                atoms.calc = LennardJones(sigma=2.2, epsilon=0.3, rc=4.5)
                atoms.get_forces()
            write(folder / f'mlearn/{element}_{part}.xyz', frames)
