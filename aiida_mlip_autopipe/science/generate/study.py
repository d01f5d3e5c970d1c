"""The few structures of a convergence study: one base for each composition, a strained and a rattled one, a series of strains."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.origin import with_lineage
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain, strained

N_DISTORTED = 2
DEFAULT_STRAIN = 0.03
"""Largest component, dimensionless, where the generator strains nothing."""
DEFAULT_RATTLE = 0.1
"""Å, standard deviation, where the generator rattles nothing."""

STRAIN_SERIES: Final = 'strain_series'
"""config_type of the series of strains."""
SERIES_STRAINS: Final = (-0.04, -0.02, 0.02, 0.04)
"""Along x at constant volume; as far as training cells are strained, for noise shows there first."""


def study_structures(builder: StructureBuilder, count: int, rng: np.random.Generator, *, with_series: bool = True) -> list[Atoms]:
    """Return bases on the smallest supercell, evenly spread over the compositions, then a strained and a rattled child.

    These children are of the base whose composition is the most mixed: it has the least symmetry, and forces of both elements.
    Last come the first base at each of :data:`SERIES_STRAINS`.

    :param builder: what the generator would build; its strengths of strain and rattle are used.
    :param count: structures at most, the two distorted ones included, the series not.
    :raises InputError: `count` leaves no room for a base.
    """
    if count <= N_DISTORTED:
        raise InputError(f'a convergence study needs more than {N_DISTORTED} structures, got {count}')
    base_rng, strain_rng, rattle_rng = rng.spawn(3)
    bases = _spread(list(_plain(builder).build(base_rng)), count - N_DISTORTED)
    if not bases:
        raise InputError('a convergence study needs a base structure, and the section sqs of the generator gives none')
    most_mixed = max(bases, key=_mixing)
    strategies = [step.strategy for step in builder.steps]
    strain = next((s for s in strategies if isinstance(s, Strain)), Strain(max_strain=DEFAULT_STRAIN))
    rattle = next((s for s in strategies if isinstance(s, Rattle)), Rattle(stdev=DEFAULT_RATTLE))
    children = [strain.one(most_mixed, strain_rng), rattle.one(_with_inner_freedom(most_mixed), rattle_rng)]
    series = [_tetragonal(bases[0], size) for size in SERIES_STRAINS] if with_series else []
    return [*bases, *(with_lineage(child, most_mixed) for child in children), *(with_lineage(a, bases[0]) for a in series)]


def _tetragonal(atoms: Atoms, size: float) -> Atoms:
    across = 1 / math.sqrt(1 + size) - 1
    return strained(atoms, np.array([size, across, across, 0.0, 0.0, 0.0]), 'tetragonal', STRAIN_SERIES)


def _plain(builder: StructureBuilder) -> StructureBuilder:
    """Return a builder of one quasirandom cell for each composition, on the smallest supercell."""
    system = dataclasses.replace(builder.system, supercells=(min(builder.system.supercells, key=math.prod),))
    steps = [
        dataclasses.replace(step, strategy=step.strategy.model_copy(update={'per_composition': 1}))
        for step in builder.steps
        if isinstance(step.strategy, SQS)
    ]
    return dataclasses.replace(builder, system=system, steps=tuple(steps), budget=None)


def _spread(bases: list[Atoms], count: int) -> list[Atoms]:
    if len(bases) <= count:
        return bases
    return [bases[index] for index in np.rint(np.linspace(0, len(bases) - 1, count)).astype(int)]


def _mixing(atoms: Atoms) -> float:
    """Return the entropy of mixing per atom, -Σ x ln x, dimensionless."""
    fractions = np.unique(atoms.numbers, return_counts=True)[1] / len(atoms)
    return float(-(fractions * np.log(fractions)).sum())


def _with_inner_freedom(atoms: Atoms) -> Atoms:
    """Return the structure itself, or twice the cell of a single atom, which alone cannot move against anything."""
    return atoms if len(atoms) > 1 else atoms.repeat((2, 1, 1))
