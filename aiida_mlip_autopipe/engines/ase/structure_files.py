"""The strategies whose bases are structures read from files, or written out of AiiDA nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveInt

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.formats.structures import read_structures
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Repeats, Strategy, System


class StructureFiles(Strategy):
    """The structures of some files, repeated."""

    KIND: ClassVar[Kind] = Kind.FREE
    ORDER = 2

    paths: tuple[str, ...] = Field(
        min_length=1,
        description='files that ASE reads (CIF, POSCAR, extxyz, …), or JSON of the Materials Project, relative to the '
        'configuration; what they hold becomes an input of the job',
    )
    supercells: tuple[Repeats, ...] = Field(default=((1, 1, 1),), min_length=1, description='repeats of each structure')

    def at_least(self, n_parents: int) -> int:
        """Return one for each file."""
        return len(self.paths)

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


class NodeStructures(Strategy):
    """The structures of AiiDA nodes, repeated."""

    KIND: ClassVar[Kind] = Kind.FREE
    ORDER = 4

    nodes: tuple[PositiveInt | str, ...] = Field(
        min_length=1, description='pk or uuid of nodes of the kind StructureData or FramesData; they become inputs of the job'
    )
    supercells: tuple[Repeats, ...] = Field(default=((1, 1, 1),), min_length=1, description='repeats of each structure')

    def at_least(self, n_parents: int) -> int:
        """Return one for each node."""
        return len(self.nodes)

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
