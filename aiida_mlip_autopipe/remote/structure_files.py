"""`StructureFiles`: the strategy whose bases are structures read from files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.formats.structures import read_structures
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Supercell, System

CONFIG_TYPE = 'file'


@dataclass(frozen=True)
class StructureFiles:
    """The structures of some files, repeated.

    :param paths: files that ASE reads, as seen from this machine.
    :param supercells: repeats of each structure.
    """

    KIND: ClassVar[Kind] = Kind.FREE

    paths: tuple[str, ...]
    supercells: tuple[Supercell, ...] = ((1, 1, 1),)

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the structures; labels are left behind.

        :raises FormatError: a file cannot be read.
        :raises InputError: a structure has an element that the system does not list.
        """
        for path in self.paths:
            for index, atoms in enumerate(read_structures(Path(path))):
                if unknown := sorted(set(atoms.get_chemical_symbols()) - set(given.elements)):
                    raise InputError(
                        f'{path}, structure {index}: has {unknown}, which elements {list(given.elements)} does not list'
                    )
                for supercell in self.supercells:
                    origin = origin_text('files', path=path, index=index, supercell=list(supercell))
                    yield fresh_atoms(atoms.repeat(supercell), CONFIG_TYPE, origin)
