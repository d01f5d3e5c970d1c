"""The strategies whose bases are structures read from files, or written out of AiiDA nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.formats.structures import read_structures
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Supercell, System


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
        for path in map(Path, self.paths):
            for index, atoms in enumerate(_known(path, path.name, given.elements)):
                for supercell in self.supercells:
                    told = origin_text('files', file=path.name, index=index, supercell=list(supercell))
                    yield fresh_atoms(atoms.repeat(supercell), 'file', told)


@dataclass(frozen=True)
class NodeStructures:
    """The structures of AiiDA nodes, repeated.

    :param nodes: files that `GenerateCalculation` or the command generate wrote, each named by the uuid of its node.
    :param supercells: repeats of each structure.
    """

    KIND: ClassVar[Kind] = Kind.FREE

    nodes: tuple[str | int, ...]
    supercells: tuple[Supercell, ...] = ((1, 1, 1),)

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the structures.

        :raises InputError: a node was not written to a file, or has an element that the system does not list.
        """
        for path in (Path(str(node)) for node in self.nodes):
            if not path.is_file():
                raise InputError(f'structures: node {path} is no file here; the job gets its nodes through its input bases')
            for index, atoms in enumerate(_known(path, f'node {path.stem}', given.elements)):
                for supercell in self.supercells:
                    told = origin_text('structures', uuid=path.stem, index=index, supercell=list(supercell))
                    yield fresh_atoms(atoms.repeat(supercell), 'structure', told)


def _known(path: Path, name: str, elements: Sequence[str]) -> Iterator[Atoms]:
    for index, atoms in enumerate(read_structures(path)):
        if unknown := sorted(set(atoms.get_chemical_symbols()) - set(elements)):
            raise InputError(f'{name}, structure {index}: has {unknown}, which elements {list(elements)} does not list')
        yield atoms
