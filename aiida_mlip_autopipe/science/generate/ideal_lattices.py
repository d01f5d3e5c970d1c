"""Ideal lattices, sized by Vegard's rule, on which alloys are built."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.composition import check_composition
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES as CRYSTALS
from aiida_mlip_autopipe.common.prototypes import SITES_PER_CELL
from aiida_mlip_autopipe.science.generate.radii import estimated_parameter
from aiida_mlip_autopipe.science.generate.strategy import Occupation, Slot, Supercell, System

PROTOTYPES = tuple(SITES_PER_CELL)
"""Lattices that can be built."""

IDEAL_C_OVER_A = math.sqrt(8.0 / 3.0)
"""c/a of hcp at which touching spheres fill space."""

CUBIC_CELLS: Final = 4
"""Lattice points in the conventional cell of fcc, the largest of the cubic ones."""


def lattice_site_count(prototype: str, supercell: Supercell) -> int:
    """Return the number of sites of a repeated primitive cell.

    :param prototype: one of `PROTOTYPES`.
    :param supercell: repeats of the primitive cell along its three vectors, each at least 1.
    :raises InputError: the prototype is unknown or a repeat is below 1.
    """
    if prototype not in SITES_PER_CELL:
        raise InputError(f'prototype {prototype!r} is unknown; allowed are {", ".join(PROTOTYPES)}')
    if len(supercell) != 3 or min(supercell) < 1:
        raise InputError(f'supercell {tuple(supercell)} must be three repeats of at least 1')
    return SITES_PER_CELL[prototype] * math.prod(supercell)


def slot_of(system: System, occupation: Occupation, supercell: Supercell) -> Slot:
    """Return an alloy on its supercell: sites, their sublattices and what occupies them.

    :raises InputError: the prototype is unknown, or an element has no usable lattice parameter.
    """
    lattice = parent_lattice(system.prototype, occupation, system.lattice_parameters, supercell)
    sublattices = np.tile(np.array(CRYSTALS[system.prototype].sublattices), math.prod(supercell))
    return Slot(lattice, sublattices, occupation)


def parent_lattice(
    prototype: str,
    occupation: Mapping[str, float] | Occupation,
    lattice_parameters: Mapping[str, float],
    supercell: Supercell,
) -> Atoms:
    """Return a repeated primitive cell, each site occupied by the first element of its sublattice.

    :param prototype: one of `PROTOTYPES`.
    :param occupation: fraction of each element, of each sublattice where there are several; it sets the size of the lattice.
    :param lattice_parameters: a of each end member on this prototype, Å; see :func:`vegard_parameter`.
    :param supercell: repeats of the primitive cell: (2, 2, 2) of fcc has 8 atoms.
    :raises InputError: the prototype is unknown, the occupation does not fit it, or an end member has no usable parameter.
    """
    lattice_site_count(prototype, supercell)
    sublattices = (occupation,) if isinstance(occupation, Mapping) else tuple(occupation)
    a = vegard_parameter(sublattices, lattice_parameters, prototype)
    first = [next(element for element, fraction in part.items() if fraction > 0) for part in sublattices]
    cell = _cell(prototype, first, a).repeat(supercell)
    return Atoms(numbers=cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)  # without ASE's magnetic moments


def _cell(prototype: str, elements: Sequence[str], a: float) -> Atoms:
    crystal = CRYSTALS[prototype]
    if crystal.n_sublattices == 1:
        shape = {'covera': IDEAL_C_OVER_A} if prototype == 'hcp' else {}
        return bulk(elements[0], prototype, a=a, **shape)
    symbols = [elements[index] for index in crystal.sublattices]
    return Atoms(symbols, cell=a * np.array(crystal.cell), scaled_positions=crystal.sites, pbc=True)


def conventional_cell(prototype: str, occupation: Occupation, lattice_parameters: Mapping[str, float]) -> Slot:
    """Return the cube of a cubic prototype, or the primitive cell of another: what Miller indices refer to.

    :raises InputError: the prototype is unknown, or an end member has no usable parameter.
    """
    primitive = parent_lattice(prototype, occupation, lattice_parameters, (1, 1, 1))
    crystal = CRYSTALS[prototype]
    if not crystal.is_cubic:
        return Slot(primitive, np.array(crystal.sublattices), occupation)
    a = vegard_parameter(occupation, lattice_parameters, prototype)
    steps = np.array(list(itertools.product(range(-CUBIC_CELLS, CUBIC_CELLS + 1), repeat=3)))
    points = np.array(crystal.sites) @ np.array(crystal.cell)
    every = (steps @ np.array(crystal.cell))[:, None, :] + points[None, :, :]
    inside = ((every > -1e-6) & (every < 1.0 - 1e-6)).all(axis=2)
    labels = np.tile(np.array(crystal.sublattices), (len(steps), 1))[inside]
    numbers = primitive.numbers[[list(crystal.sublattices).index(label) for label in labels]]
    cube = Atoms(numbers=numbers, positions=a * every[inside], cell=[a, a, a], pbc=True)
    return Slot(cube, labels, occupation)


def vegard_parameter(
    occupation: Mapping[str, float] | Occupation, lattice_parameters: Mapping[str, float], prototype: str | None = None
) -> float:
    """Return the lattice parameter of an alloy by Vegard's rule, a = Σ x_i a_i over its end members, in Å.

    An end member has one element on each sublattice, x_i is the product of their fractions. Its name joins them: `Al`, or
    `Mg-O`.

    :param occupation: fraction of each element, of each sublattice where there are several.
    :param lattice_parameters: a_i of each end member, Å.
    :param prototype: lattice for which a missing a_i is estimated from radii; None: nothing may be missing.
    :raises InputError: an end member has no lattice parameter above zero.
    """
    sublattices = (occupation,) if isinstance(occupation, Mapping) else tuple(occupation)
    if prototype is not None and len(sublattices) != CRYSTALS[prototype].n_sublattices:
        raise InputError(
            f'prototype {prototype} has {CRYSTALS[prototype].n_sublattices} sublattices, got the fractions of {len(sublattices)}'
        )
    for part in sublattices:
        check_composition(part)
    weights: dict[str, float] = {}
    lengths: dict[str, float] = {}
    for elements in itertools.product(*({e: x for e, x in part.items() if x > 0} for part in sublattices)):
        name = '-'.join(elements)
        a = lattice_parameters.get(name)
        if a is None and prototype is not None:
            a = estimated_parameter(prototype, elements)
        if a is None or not 0.0 < a < math.inf:
            raise InputError(f'lattice parameter of {name} must be a length above 0 Å, got {a}')
        weights[name] = math.prod(part[element] for part, element in zip(sublattices, elements, strict=True))
        lengths[name] = a
    return math.fsum(x * lengths[name] for name, x in weights.items()) / math.fsum(weights.values())
