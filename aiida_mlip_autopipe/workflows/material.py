"""What a protocol says of a material: its system and its bases, out of chemical symbols or of a structure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

from aiida import orm
from ase.data import atomic_numbers, reference_states

from aiida_mlip_autopipe.common.errors import InputError

QUARTERS: Final = (0.25, 0.5, 0.75)
"""Fractions of the first element in the alloys of two, which fit the supercells of a protocol."""

SUPERCELL: Final = [2, 2, 2]

LATTICES: Final = ('fcc', 'bcc', 'hcp', 'diamond', 'sc')
"""Structures of ASE's reference states that are prototypes, too."""


def sections_of(material: Sequence[str] | orm.StructureData) -> dict[str, Any]:
    """Return the sections of the configuration that a material gives.

    Chemical symbols give the elements and their alloys of two, by quarters, on the lattice that the first one has as an element.
    A structure is the base itself.

    :param material: chemical symbols, or a stored structure.
    :raises InputError: an element has no such lattice, or the structure is not stored.
    """
    if not isinstance(material, orm.StructureData):
        return {'system': _system_of(list(material))}
    if not material.is_stored:
        raise InputError('material: the structure must be stored, so that the run can name it')
    elements = sorted({symbol for kind in material.kinds for symbol in kind.symbols}, key=lambda symbol: atomic_numbers[symbol])
    return {'system': {'elements': elements}, 'generate': {'structures': {'nodes': [material.uuid]}}}


def _system_of(elements: list[str]) -> dict[str, Any]:
    if not elements:
        raise InputError('material: got no element; give chemical symbols or a StructureData')
    if unknown := [symbol for symbol in elements if symbol not in atomic_numbers]:
        raise InputError(f'material: got {unknown[0]!r}; must be chemical symbols or a StructureData')
    lattice = (reference_states[atomic_numbers[elements[0]]] or {}).get('symmetry')
    if lattice not in LATTICES:
        raise InputError(
            f'material: {elements[0]} is {lattice or "unknown"} as an element, which is no prototype; give a StructureData, or '
            'overrides with system.prototype'
        )
    pure = [{symbol: 1.0} for symbol in elements]
    alloys = [{one: x, other: 1.0 - x} for one, other in combinations(elements, 2) for x in QUARTERS]
    return {'elements': elements, 'prototype': lattice, 'compositions': [*pure, *alloys], 'supercells': [SUPERCELL]}
