"""Ideal lattices, sized by Vegard's rule, on which alloys are built."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.composition import check_composition
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import SITES_PER_CELL

Supercell = tuple[int, int, int]

PROTOTYPES = tuple(SITES_PER_CELL)
"""Lattices that can be built."""

IDEAL_C_OVER_A = math.sqrt(8.0 / 3.0)
"""c/a of hcp at which touching spheres fill space."""


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


def parent_lattice(
    prototype: str, composition: Mapping[str, float], lattice_parameters: Mapping[str, float], supercell: Supercell
) -> Atoms:
    """Return a repeated primitive cell, each site occupied by the first element of the composition.

    :param prototype: one of `PROTOTYPES`.
    :param composition: fraction of each element; it sets the size of the lattice.
    :param lattice_parameters: a of each element on this prototype, Å: the cubic one, or a of hcp with the ideal c/a.
    :param supercell: repeats of the primitive cell: (2, 2, 2) of fcc has 8 atoms.
    :raises InputError: the prototype is unknown, or an element has no usable lattice parameter.
    """
    lattice_site_count(prototype, supercell)
    a = vegard_parameter(composition, lattice_parameters)
    shape = {'covera': IDEAL_C_OVER_A} if prototype == 'hcp' else {}
    symbol = next(element for element, fraction in composition.items() if fraction > 0)
    cell = bulk(symbol, prototype, a=a, **shape).repeat(supercell)
    return Atoms(numbers=cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)  # without ASE's magnetic moments


def vegard_parameter(composition: Mapping[str, float], lattice_parameters: Mapping[str, float]) -> float:
    """Return the lattice parameter of an alloy by Vegard's rule, a = Σ x_i a_i, in Å.

    :param composition: fraction of each element.
    :param lattice_parameters: a_i of each element, Å.
    :raises InputError: an element of the composition has no lattice parameter above zero.
    """
    check_composition(composition)
    present = {element: fraction for element, fraction in composition.items() if fraction > 0}
    for element in present:
        a = lattice_parameters.get(element)
        if a is None or not 0.0 < a < math.inf:
            raise InputError(f'lattice parameter of {element} must be a length above 0 Å, got {a}')
    return math.fsum(x * lattice_parameters[element] for element, x in present.items()) / math.fsum(present.values())
