"""The few structures of a convergence study: one base for each composition, a strained and a rattled one."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.origin import with_lineage
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.strain import Strain

N_DISTORTED = 2
DEFAULT_STRAIN = 0.03
"""Largest component, dimensionless, where the generator strains nothing."""
DEFAULT_RATTLE = 0.1
"""Å, standard deviation, where the generator rattles nothing."""


def study_structures(builder: StructureBuilder, count: int, rng: np.random.Generator) -> list[Atoms]:
    """Return bases on the smallest supercell, evenly spread over the compositions, then a strained and a rattled child.

    The children are of the base whose composition is the most mixed: it has the least symmetry, and forces of both elements.

    :param builder: what the generator would build; its strengths of strain and rattle are used.
    :param count: structures at most, the two distorted ones included.
    :raises InputError: `count` leaves no room for a base.
    """
    if count <= N_DISTORTED:
        raise InputError(f'a convergence study needs more than {N_DISTORTED} structures, got {count}')
    smallest = min(builder.supercells, key=math.prod)
    plain = dataclasses.replace(builder, supercells=(smallest,), sqs_per_composition=1, strain=None, rattle=None, vacancies=None)
    base_rng, strain_rng, rattle_rng = rng.spawn(3)
    bases = _spread(list(plain.build(base_rng)), count - N_DISTORTED)
    most_mixed = max(bases, key=_mixing)
    strain = builder.strain.max_strain if builder.strain else 0.0
    rattle = builder.rattle.stdev if builder.rattle else 0.0
    strained = Strain(1, strain or DEFAULT_STRAIN).one(most_mixed, strain_rng)
    rattled = Rattle(1, rattle or DEFAULT_RATTLE).one(_with_inner_freedom(most_mixed), rattle_rng)
    return [*bases, with_lineage(strained, most_mixed), with_lineage(rattled, most_mixed)]


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
