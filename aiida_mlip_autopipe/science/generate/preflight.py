"""What is wrong with a plan of structures, found by making the first structure of each strategy before anything is submitted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError, MlipError
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.ideal_lattices import slot_of
from aiida_mlip_autopipe.science.generate.sqs import shuffled, slot_counts
from aiida_mlip_autopipe.science.generate.strategy import BULK, Drawing, Kind, Step, System

MOST_LATTICES = 6
"""Alloys on lattices that are tried; more are spread evenly."""

MOST_FREE = 8
"""Structures that a strategy makes which is given the system alone."""


def problems_of(builder: StructureBuilder, rng: np.random.Generator) -> list[str]:
    """Return one sentence for each strategy that cannot do what is asked, on the ideal lattices of the alloys.

    A program that is missing here is no problem: the job may run on a machine that has it.

    :param rng: for the trial structures; what the builder makes does not depend on it.
    """
    try:
        parents = list(_lattices(builder.system, rng))
    except InputError as error:
        return [str(error)]
    problems = [problem for step in builder.steps if (problem := _problem(step, builder.system, parents, rng))]
    return list(dict.fromkeys(problems))


def _problem(step: Step, system: System, parents: list[Atoms], rng: np.random.Generator) -> str:
    kind = step.strategy.KIND
    try:
        if kind is Kind.FREE:
            list(itertools.islice(step.strategy(system, rng), MOST_FREE))
        elif kind is not Kind.LATTICE and BULK in (*step.of, *step.otherwise):
            for parent in parents:
                _first(step, parent, rng)
    except EngineError:
        return ''  # missing here, perhaps not where the job runs
    except MlipError as error:
        return str(error)
    return ''


def _first(step: Step, parent: Atoms, rng: np.random.Generator) -> None:
    """Make the first structure of a step that takes parents."""
    if isinstance(step.strategy, Drawing):
        if step.strategy.count:
            step.strategy.one(parent, rng)
    else:
        next(iter(step.strategy(parent, rng)), None)


def _lattices(system: System, rng: np.random.Generator) -> Iterator[Atoms]:
    """Yield alloys on their ideal lattices, shuffled: the smallest supercell first, some of all alloys."""
    supercells = sorted(system.supercells, key=math.prod)
    every = list(itertools.product(supercells, system.alloys))
    chosen = np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST_LATTICES)).round().astype(int))
    for index in chosen.tolist():
        supercell, alloy = every[index]
        slot = slot_of(system, alloy, supercell)
        atoms = slot.lattice.copy()
        atoms.numbers = shuffled(slot, slot_counts(slot), rng)
        yield atoms
