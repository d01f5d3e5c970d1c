"""What a strategy is to the builder: how it is called, what it may say about itself, and what it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveInt

from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.common.settings import Settings

GROUP = 'mlip_autopipe.strategies'
"""Group of entry points in which strategies are registered, each a :class:`Strategy`."""

BULK = 'bulk'
"""In `Step.of`: all structures that steps of the kind `lattice` and imported bulk structures gave."""

STRAINED: Final = (BULK, 'strain', 'deform')

OF: Final = 'sections whose structures are the parents (bulk: all bulk bases); left out: as the table in docs/generate.md says'
CONCENTRATION: Final = 'defects for each atom, in place of {}, at least one in a cell, dimensionless'

Of = Annotated[tuple[str, ...] | None, Field(min_length=1)]
Concentration = Annotated[float | None, Field(gt=0, lt=1)]
Repeats = tuple[PositiveInt, PositiveInt, PositiveInt]

Supercell = tuple[int, int, int]
Occupation = tuple[Mapping[str, float], ...]
"""Fractions of the elements on each sublattice."""


class Kind(StrEnum):
    """What a strategy is called with.

    `lattice`: a :class:`Slot`, once for each alloy and supercell; gives bases. `free`: the :class:`System`, once; gives
    bases. `fixed`: a parent, once for each; gives its whole set. `drawn`: a parent, `count` times for each base, by `one`.
    """

    LATTICE = 'lattice'
    FREE = 'free'
    FIXED = 'fixed'
    DRAWN = 'drawn'


@dataclass(frozen=True)
class System:
    """The material.

    :param elements: chemical symbols.
    :param prototype: name of the lattice, see :data:`common.prototypes.PROTOTYPES`.
    :param alloys: occupations of the sublattices, one for each alloy.
    :param lattice_parameters: a of each end member, Å; those that are missing are estimated from radii.
    :param supercells: repeats of the primitive cell.
    """

    elements: tuple[str, ...]
    prototype: str
    alloys: tuple[Occupation, ...]
    lattice_parameters: Mapping[str, float]
    supercells: tuple[Supercell, ...]


@dataclass(frozen=True, eq=False)
class Slot:
    """One alloy on one supercell.

    :param lattice: the sites; elements are not read.
    :param sublattices: index of the sublattice of each site, shape (n_sites,).
    :param occupation: fractions of the elements on each sublattice.
    """

    lattice: Atoms
    sublattices: IntArray
    occupation: Occupation


class Strategy(Settings):
    """Makes structures, each with `config_type` and `origin` in `info`, and knows nothing of other strategies.

    A strategy is an entry point of :data:`GROUP`. Its fields are its settings: the section of the configuration that has its
    name, with bounds, defaults and a description with the unit. All else that anybody has to know of it are these constants.
    """

    KIND: ClassVar[Kind]

    CONFIG_TYPES: ClassVar[frozenset[str] | None] = None
    """What its structures may have as `config_type`; None: anything."""

    PARENTS: ClassVar[tuple[str, ...]] = (BULK,)
    """Sections whose structures it takes as parents where its field `of` names none; `BULK` for all bulk bases."""

    OTHERWISE: ClassVar[tuple[str, ...]] = ()
    """Parents where `PARENTS` have none."""

    HAS_VACUUM: ClassVar[bool] = False
    """Whether its structures have vacuum, so that neither density nor shape of the cell is judged."""

    IS_BULK: ClassVar[bool] = True
    """Whether its bases belong to `BULK`; others have children only where a section names them in `of`."""

    IS_DEFAULT: ClassVar[bool] = False
    """Whether it is part of a plan that does not name it."""

    ORDER: ClassVar[int] = 1000
    """Place in the plan, after those that it takes parents from; by name where two have the same."""

    def __call__(self, given: Any, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures made of what :class:`Kind` says."""
        raise NotImplementedError

    @property
    def is_used(self) -> bool:
        """Whether it makes anything with these settings."""
        return bool(getattr(self, 'count', 1))

    def at_least(self, n_parents: int) -> int:
        """Return how many structures it gives at the least; 0 where nobody can tell beforehand.

        :param n_parents: number of its slots or of bulk bases; 1 for a strategy of the kind `free`.
        """
        return 0

    def compositions(self, counts: Counter[str]) -> list[Counter[str]] | None:
        """Return the compositions that it makes of one; None where nobody can say.

        :param counts: atoms of each element of the parent, or of the slot.
        """
        return None

    def problem_in(self, n_sites: int) -> str:
        """Return what cannot be done in a cell, as `field: got value; what is allowed`, or an empty text.

        :param n_sites: atoms of the smallest perfect cell.
        """
        return ''


@runtime_checkable
class Drawing(Protocol):
    """A strategy that can go on drawing random structures of one parent."""

    @property
    def count(self) -> int:
        """Number of structures wanted for each base."""

    def one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Return one structure."""


@dataclass(frozen=True)
class Step:
    """A strategy in a plan.

    :param name: of its section in the configuration.
    """

    name: str
    strategy: Strategy

    @property
    def of(self) -> tuple[str, ...]:
        """Steps whose structures it takes as parents; where none of them has any in a family, the step makes nothing there."""
        return getattr(self.strategy, 'of', None) or self.strategy.PARENTS

    @property
    def otherwise(self) -> tuple[str, ...]:
        """Parents where `of` has none."""
        return () if getattr(self.strategy, 'of', None) else self.strategy.OTHERWISE
