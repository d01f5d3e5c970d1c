"""`StructureBuilder`: the stream of first structures, from ideal alloys to strained, rattled and defective ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.science.generate.bases import Supercell, parent_lattice
from aiida_mlip_autopipe.science.generate.origin import with_lineage
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sqs import special_quasirandom_structures
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies


class Distortion(Protocol):
    """A strategy that can distort one structure at a time."""

    @property
    def count(self) -> int:
        """Number of structures wanted for each base."""

    def one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Return one distorted structure with `config_type` and `origin`."""


@dataclass(frozen=True)
class StructureBuilder:
    """What to build: for each composition and supercell some quasirandom bases, and for each base its distortions.

    :param prototype: lattice, see :data:`bases.PROTOTYPES`.
    :param compositions: fractions of the elements, one mapping for each alloy.
    :param lattice_parameters: a of each element on this prototype, Å.
    :param supercells: repeats of the primitive cell.
    :param sqs_per_composition: bases for each composition and supercell; a pure element has one.
    :param sqs_steps: Monte-Carlo steps for each base.
    :param sqs_cutoffs: Å, for pairs, triplets, ….
    :param strain: strains of each base, or None.
    :param rattle: `rattle.count` rattled structures for each base, each of the base or of one of its strained children.
    :param vacancies: `vacancies.count` structures for each base, each of one of its rattled children; of the base or a
        strained child where nothing is rattled.
    """

    prototype: str
    compositions: tuple[Mapping[str, float], ...]
    lattice_parameters: Mapping[str, float]
    supercells: tuple[Supercell, ...]
    sqs_per_composition: int
    sqs_steps: int
    sqs_cutoffs: tuple[float, ...]
    strain: Strain | None = None
    rattle: Rattle | None = None
    vacancies: Vacancies | None = None

    def build(self, rng: np.random.Generator) -> Iterator[Atoms]:
        """Return the stream of structures, with uid, lineage, parent, config_type and origin in `info`.

        The lineage is the uid of the quasirandom base. No uid comes twice. What is drawn depends on `rng` alone as it is
        now: the consumer may go on using it. Distortions draw from streams of their own, so that changing them leaves the
        bases as they are.

        :raises InputError: while the stream is read: a composition does not fit a supercell, or a setting is out of range.
        :raises EngineError: while the stream is read: icet is missing or failed.
        """
        return _unrepeated(self._stream(rng.spawn(1)[0]))

    def _stream(self, rng: np.random.Generator) -> Iterator[Atoms]:
        for composition, supercell in itertools.product(self.compositions, self.supercells):
            sqs_rng, distortion_rng = rng.spawn(2)
            parent = parent_lattice(self.prototype, composition, self.lattice_parameters, supercell)
            bases = special_quasirandom_structures(
                parent,
                composition,
                count=self.sqs_per_composition,
                steps=self.sqs_steps,
                cutoffs=self.sqs_cutoffs,
                rng=sqs_rng,
            )
            for base in bases:
                yield from self._family(with_lineage(base), distortion_rng)

    def _family(self, root: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        yield root
        parents = [root]
        if self.strain is not None:
            parents += [with_lineage(strained, root) for strained in self.strain(root, rng)]
            yield from parents[1:]
        rattled = list(_children(self.rattle, parents, rng))
        yield from rattled
        yield from _children(self.vacancies, rattled or parents, rng)


def _children(strategy: Distortion | None, parents: Sequence[Atoms], rng: np.random.Generator) -> Iterator[Atoms]:
    if strategy is None:
        return
    for _ in range(strategy.count):
        parent = parents[int(rng.integers(len(parents)))]
        yield with_lineage(strategy.one(parent, rng), parent)


def _unrepeated(structures: Iterable[Atoms]) -> Iterator[Atoms]:
    seen: set[str] = set()
    for atoms in structures:
        uid = atoms.info['uid']
        if uid not in seen:
            seen.add(uid)
            yield atoms.copy()  # the stream goes on reading its own, so a consumer may change what it gets
