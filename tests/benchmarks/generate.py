"""What generating costs, measured in one run: `python -m tests.benchmarks.generate [--quick]` from the root.

A stream of rattled structures of 64 atoms with all checks, against a plain loop of ASE and pymatgen that judges the same
structures, and against random numbers and one neighbour list alone; and the memory that it takes. Times are processor time of
one thread, the least of a few repeats in turn.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from matscipy.neighbours import neighbour_list
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor

from aiida_mlip_autopipe.science.generate.budget import Budget
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.environment import reach_of
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sieve import SieveLimits
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import BULK, Step, System

SYSTEM = System(('Al', 'Mg'), 'fcc', (({'Al': 0.75, 'Mg': 0.25},),), {'Al': 4.05, 'Mg': 4.5}, ((4, 4, 4),))
CUTOFF = 2.0
"""Å, distance that the plain loop looks for; no structure has so short a bond."""
REPEATS = 3
FEW_STRAINS = 4


def stream(count: int, strains: int = 20) -> StructureBuilder:
    """Return a builder of `count` structures of 64 atoms: 2 bases, each strained, and rattled ones of all of these."""
    steps = (
        Step('sqs', SQS(per_composition=2, method='shuffle')),
        Step('strain', Strain(count=strains, max_strain=0.04)),
        Step('rattle', Rattle(count=1, stdev=0.1, of=(BULK, 'strain'))),
    )
    return StructureBuilder(SYSTEM, steps, budget=Budget(count))


def seconds(work: Callable[[], int]) -> float:
    """Return the processor time of each of the structures that `work` says it made."""
    gc.collect()
    started = time.process_time()
    made = work()
    return (time.process_time() - started) / made


def ours(count: int, strains: int = 20) -> int:
    """Read a stream and keep nothing."""
    made = sum(1 for _ in stream(count, strains).build(np.random.default_rng(0)))
    if made != count:
        raise SystemExit(f'{made} of {count} structures')
    return made


def plain(given: list[Atoms], *, compared: bool) -> int:
    """Strain, rattle, search by ASE's neighbour list and compare with all before by pymatgen's matcher.

    Judged are the given structures in place of those that were made, so that both ways judge the same, and the tolerances of
    the matcher are as strict as ours: with its own ones any two rattled copies are the same.
    """
    rng, kept = np.random.default_rng(0), []
    size = (given[0].cell.volume / len(given[0])) ** (1 / 3)
    matcher = StructureMatcher(ltol=1e-3, stol=SieveLimits().tolerance / size, angle_tol=0.1, primitive_cell=False, scale=False)
    for atoms in given:
        distorted(given[0], rng)
        if len(neighbor_list('i', atoms, CUTOFF)):
            raise SystemExit(f'a bond is shorter than {CUTOFF} Å')
        if not compared:
            continue
        structure = AseAtomsAdaptor.get_structure(atoms)
        if not any(matcher.fit(structure, other) for other in kept):
            kept.append(structure)
    if compared and len(kept) != len(given):
        raise SystemExit(f'pymatgen keeps {len(kept)} of {len(given)} structures')
    return len(given)


def distorted(base: Atoms, rng: np.random.Generator) -> Atoms:
    atoms = base.copy()
    strain = rng.uniform(-0.04, 0.04, size=(3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    return atoms


def least(base: Atoms, count: int, cutoff: float, *, by_ase: bool) -> int:
    """Draw random numbers and make one neighbour list for each of `count` structures."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        positions = base.positions + rng.normal(scale=0.1, size=base.positions.shape)
        if by_ase:
            neighbor_list('ijd', Atoms(numbers=base.numbers, positions=positions, cell=base.cell, pbc=True), cutoff)
        else:
            neighbour_list('ijd', positions=positions, cell=base.cell.array, pbc=base.pbc, cutoff=cutoff)
    return count


def peak(count: int) -> int:
    """Return the largest memory that Python and NumPy held while a stream was read, bytes."""
    tracemalloc.start()
    ours(count)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def write(figure: str, value: float, *, at_least: float = -math.inf, at_most: float = math.inf) -> None:
    """Write one line of JSON, with the target where there is one."""
    target = next((bound for bound in (at_least, at_most) if math.isfinite(bound)), None)
    met = None if target is None else at_least <= value <= at_most
    sys.stdout.write(
        json.dumps({'figure': figure, 'value': round(value, 3), 'target': target, 'met': met}, ensure_ascii=False) + '\n'
    )
    sys.stdout.flush()


def main() -> None:
    """Measure and write one line of JSON for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='small and noisy: only shows that the script works')
    count, same = (1000, 14) if parser.parse_args().quick else (10_000, 50)
    given = list(stream(same, FEW_STRAINS).build(np.random.default_rng(0)))  # also loads what is loaded once
    base, reach = given[0], reach_of(given[0])
    works: dict[str, Callable[[], int]] = {
        'ours': lambda: ours(count),
        f'ASE, {CUTOFF} Å': lambda: least(base, 100, CUTOFF, by_ase=True),
        f'matscipy, {reach:.2f} Å': lambda: least(base, 1000, reach, by_ase=False),
        f'matscipy, {CUTOFF} Å': lambda: least(base, 1000, CUTOFF, by_ase=False),
        'ours, few': lambda: ours(same, FEW_STRAINS),
        'plain, none compared': lambda: plain(given, compared=False),
    }
    spent = dict.fromkeys(works, math.inf)
    for _ in range(REPEATS):
        spent = {name: min(spent[name], seconds(work)) for name, work in works.items()}
    few = spent.pop('ours, few')
    write(f'structures per second, {count} of 64 atoms with all checks', 1 / spent['ours'])
    write(f'plain loop / ours, the same {same} structures', seconds(lambda: plain(given, compared=True)) / few, at_least=10.0)
    write(f'plain loop without comparisons of {same} / ours of {count}', spent.pop('plain, none compared') / spent['ours'])
    mine = spent.pop('ours')
    for name, other in spent.items():
        write(f'ours / random numbers and one neighbour list ({name})', mine / other, at_most=2.0)
    peaks = [peak(number) for number in (count // 10, count)]
    write(f'MiB at the peak of {count // 10} structures', peaks[0] / 2**20)
    write(f'MiB at the peak of {count} structures', peaks[1] / 2**20)
    write('bytes more for each structure more', (peaks[1] - peaks[0]) / (count - count // 10), at_most=5000.0)


if __name__ == '__main__':
    main()
