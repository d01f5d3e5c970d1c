"""The displaced cells of a phonon calculation by finite differences, by phonopy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from ase import Atoms
from pydantic import Field

from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import OF, Kind, Of, Repeats, Strategy
from aiida_mlip_autopipe.science.properties.force_constants import displaced_cells, phonon_of

CONFIG_TYPE = 'phonon'


class Phonons(Strategy):
    """Supercells with one atom displaced, as few as the symmetry of the parent allows."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 104

    distance: float = Field(default=0.03, gt=0, lt=1, description='Å, length of the displacement')
    supercell: Repeats = Field(default=(1, 1, 1), description='repeats of the base')
    of: Of = Field(default=None, description=OF)

    def at_least(self, n_parents: int) -> int:
        """Return one for each base."""
        return 0 if self.of else n_parents

    def compositions(self, counts: Counter[str]) -> list[Counter[str]]:
        """Return the composition of the parent, which stays."""
        return [counts]

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the displaced supercells of one parent.

        :raises InstallationError: phonopy is missing.
        """
        for atoms in displaced_cells(phonon_of(given, self.supercell, self.distance)):
            yield fresh_atoms(atoms, CONFIG_TYPE, origin_text('phonon', distance=self.distance, supercell=list(self.supercell)))
