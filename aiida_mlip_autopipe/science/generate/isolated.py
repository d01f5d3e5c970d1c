"""Single atoms in a large box, whose energies are the zero of the energy scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from pydantic import Field, PositiveFloat

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text, with_lineage
from aiida_mlip_autopipe.science.generate.strategy import Kind, Strategy, System


class IsolatedAtoms(Strategy):
    """One atom of each element of the system."""

    KIND: ClassVar[Kind] = Kind.FREE
    CONFIG_TYPES = frozenset({ISOLATED_ATOM})
    HAS_VACUUM = True
    IS_BULK = False
    ORDER = 13

    box: PositiveFloat = Field(default=15.0, description='Å, edge of the cube')

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield one atom of each element.

        :raises InputError: the box has no size.
        """
        yield from isolated_atoms(given.elements, self.box)


def isolated_atoms(elements: Sequence[str], box: float) -> list[Atoms]:
    """Return one atom of each element, in the given order, at the centre of a periodic cube.

    :param elements: chemical symbols, each once.
    :param box: edge of the cube, Å; 12 to 20 Å keep the images apart.
    :raises InputError: a symbol is unknown or comes twice, or the box has no size.
    """
    if not 0.0 < box < np.inf:
        raise InputError(f'the box of isolated atoms must have an edge above 0 Å, got {box}')
    if len(set(elements)) != len(elements):
        raise InputError(f'each element needs one isolated atom, got {list(elements)}')
    for element in elements:
        if element not in atomic_numbers or element == 'X':
            raise InputError(f'{element!r} is not the symbol of an element')
    boxed = [Atoms(element, positions=[[box / 2] * 3], cell=[box] * 3, pbc=True) for element in elements]
    origin = origin_text('isolated_atom', box=float(box))
    return [with_lineage(fresh_atoms(atoms, ISOLATED_ATOM, origin)) for atoms in boxed]
