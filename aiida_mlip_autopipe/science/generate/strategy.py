"""What a strategy is to the builder: how it is called, what it may say about itself, and what it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import IntArray

GROUP = 'mlip_autopipe.strategies'
"""Group of entry points in which strategies are registered, each a class that takes its settings as keywords."""

BULK = 'bulk'
"""In `Step.of`: all structures that steps of the kind `lattice` and imported bulk structures gave."""

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


class Strategy(Protocol):
    """Makes structures, each with `config_type` and `origin` in `info`, and knows nothing of other strategies."""

    KIND: ClassVar[Kind]

    def __call__(self, given: Any, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield structures made of what :class:`Kind` says."""


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

    :param name: of the step in the configuration.
    :param strategy: what makes the structures.
    :param of: steps whose structures it takes as parents; `BULK` for all bulk bases. Where none of them has any in a
        family, the step makes nothing there.
    :param otherwise: parents where `of` has none.
    :param has_vacuum: whether its structures have vacuum, so that neither density nor shape of the cell is judged.
    :param is_bulk: whether its bases belong to `BULK`.
    """

    name: str
    strategy: Strategy
    of: tuple[str, ...] = (BULK,)
    otherwise: tuple[str, ...] = ()
    has_vacuum: bool = False
    is_bulk: bool = True
