"""What generating costs, measured in one run: `python -m tests.benchmarks.generate [--quick]` from the root.

Rattled structures of 64 atoms through all checks, against a plain loop of ASE and pymatgen on such structures, and against
random numbers and one neighbour list alone. One thread; the plain loop is timed on few structures, for it compares each with
all before it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from matscipy.neighbours import neighbour_list
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor

from aiida_mlip_autopipe.science.generate.budget import Budget
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import BULK, Step, System

SYSTEM = System(('Al', 'Mg'), 'fcc', (({'Al': 0.75, 'Mg': 0.25},),), {'Al': 4.05, 'Mg': 4.5}, ((4, 4, 4),))
CUTOFF = 2.0
"""Å, distance that the plain loop looks for."""


def stream(count: int) -> StructureBuilder:
    """Return a builder of `count` structures of 64 atoms."""
    steps = (
        Step('sqs', SQS(2, method='shuffle')),
        Step('strain', Strain(20, 0.04)),
        Step('rattle', Rattle(1, 0.1), (BULK, 'strain')),
    )
    return StructureBuilder(SYSTEM, steps, budget=Budget(count))


def ours(count: int) -> float:
    """Return the seconds for each structure of a stream, nothing kept."""
    started = time.perf_counter()
    made = sum(1 for _ in stream(count).build(np.random.default_rng(0)))
    if made != count:
        raise SystemExit(f'{made} of {count} structures')
    return (time.perf_counter() - started) / count


def plain(count: int) -> float:
    """Return the seconds for each structure of a plain loop: strain, rattle, ASE's neighbour list, pymatgen's matcher."""
    base = next(stream(100).build(np.random.default_rng(0)))
    rng, matcher, kept = np.random.default_rng(0), StructureMatcher(primitive_cell=False, scale=False), []
    started = time.perf_counter()
    for _ in range(count):
        atoms = distorted(base, rng)
        if len(neighbor_list('i', atoms, CUTOFF)):
            continue
        structure = AseAtomsAdaptor.get_structure(atoms)
        if not any(matcher.fit(structure, other) for other in kept):
            kept.append(structure)
    return (time.perf_counter() - started) / count


def least(count: int, *, by_ase: bool) -> float:
    """Return the seconds for each structure of random numbers and one neighbour list."""
    base = next(stream(100).build(np.random.default_rng(0)))
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    for _ in range(count):
        positions = base.positions + rng.normal(scale=0.1, size=base.positions.shape)
        if by_ase:
            neighbor_list('i', Atoms(numbers=base.numbers, positions=positions, cell=base.cell, pbc=True), CUTOFF)
        else:
            neighbour_list('i', positions=positions, cell=base.cell.array, pbc=base.pbc, cutoff=CUTOFF)
    return (time.perf_counter() - started) / count


def distorted(base: Atoms, rng: np.random.Generator) -> Atoms:
    atoms = base.copy()
    strain = rng.uniform(-0.04, 0.04, size=(3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    return atoms


def peak(count: int) -> float:
    """Return the largest memory that Python held while a stream was read, MiB."""
    tracemalloc.start()
    for _ in stream(count).build(np.random.default_rng(0)):
        pass
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found / 2**20


def main() -> None:
    """Measure and write one line of JSON for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='small and noisy: only shows that the script works')
    count, compared = (1000, 10) if parser.parse_args().quick else (10_000, 40)
    ours(100)  # what is loaded once
    time_ours, time_plain = ours(count), plain(compared)
    lists = {'ASE': least(min(count, 1000), by_ase=True), 'matscipy': least(min(count, 1000), by_ase=False)}
    memory = [peak(number) for number in (count // 10, count // 2)]
    figures: list[tuple[str, float, float | None]] = [
        (f'structures per second, {count} of 64 atoms with all checks', 1 / time_ours, None),
        (f'plain loop of {compared} structures / ours', time_plain / time_ours, 10.0),
        *((f'ours / random numbers and one neighbour list of {name}', time_ours / spent, 2.0) for name, spent in lists.items()),
        (f'MiB at the peak of {count // 10} structures', memory[0], None),
        (f'MiB at the peak of {count // 2} structures', memory[1], None),
    ]
    for name, value, target in figures:
        sys.stdout.write(json.dumps({'figure': name, 'value': round(value, 3), 'target': target}) + '\n')


if __name__ == '__main__':
    main()
