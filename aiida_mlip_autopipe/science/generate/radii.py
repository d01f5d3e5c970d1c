"""Lattice parameters estimated from the sizes of the atoms, for end members whose own is not given."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers, covalent_radii, reference_states

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES

LAST_KNOWN = 96
"""Atomic number of curium, the last element in the table of covalent radii; ASE gives all that follow one made-up radius."""


def estimated_parameter(prototype: str, elements: Sequence[str]) -> float:
    """Return the lattice parameter a of an end member, Å.

    A close-packed metal has the volume of its elements in their own lattices; in other prototypes the covalent spheres of the
    sublattices in contact touch, a = (r_A + r_B) / d, where d is their distance in units of a.

    :param prototype: name of the lattice.
    :param elements: one for each sublattice.
    :raises InputError: an element is unknown to the table of radii.
    """
    crystal = PROTOTYPES[prototype]
    if crystal.contact is not None:
        first, second, distance = crystal.contact
        return (covalent_radius(elements[first]) + covalent_radius(elements[second])) / distance
    volume = sum(atomic_volume(elements[index]) for index in crystal.sublattices)
    return float((volume / abs(np.linalg.det(np.array(crystal.cell)))) ** (1 / 3))


def covalent_radius(element: str) -> float:
    """Return the covalent radius of an element, Å (Cordero et al., Dalton Trans. 2008, 2832, by ASE).

    :raises InputError: the element is unknown to the table of radii.
    """
    number = atomic_numbers.get(element, 0)
    if not 0 < number <= LAST_KNOWN:
        raise InputError(f'{element!r} is unknown to the table of radii; give its lattice parameter (lattice_parameters)')
    return float(covalent_radii[number])


def atomic_volume(element: str) -> float:
    """Return the volume of an atom of an element in its own lattice where that is a dense one, Å³.

    For other elements it is the volume per atom of an fcc lattice of its covalent spheres, a³ / 4 with a = 2 √2 r.

    :raises InputError: the element is unknown to the table of radii.
    """
    state = (reference_states[atomic_numbers[element]] if element in atomic_numbers else None) or {}
    volumes = {
        'fcc': lambda a: a**3 / 4,
        'bcc': lambda a: a**3 / 2,
        'hcp': lambda a: a**3 * state['c/a'] * math.sqrt(3) / 4,
    }
    if state.get('symmetry') in volumes and state.get('a'):
        return float(volumes[str(state['symmetry'])](state['a']))
    return math.sqrt(32) * covalent_radius(element) ** 3
