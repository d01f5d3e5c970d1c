"""The displaced cells of a phonon calculation by finite differences, by phonopy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Supercell
from aiida_mlip_autopipe.science.properties.force_constants import displaced_cells, phonon_of

CONFIG_TYPE = 'phonon'


@dataclass(frozen=True)
class Phonons:
    """Supercells with one atom displaced, as few as the symmetry of the parent allows.

    :param distance: length of a displacement, Å.
    :param supercell: repeats of the parent.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    distance: float = 0.03
    supercell: Supercell = (1, 1, 1)

    def __post_init__(self) -> None:
        """Refuse displacements that are none."""
        if not 0.0 < self.distance < 1.0 or min(self.supercell) < 1:
            raise InputError(f'phonon: distance in 0..1 Å and repeats >= 1 are needed, got {self.distance} and {self.supercell}')

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the displaced supercells of one parent.

        :raises InstallationError: phonopy is missing.
        """
        for atoms in displaced_cells(phonon_of(given, self.supercell, self.distance)):
            yield fresh_atoms(atoms, CONFIG_TYPE, origin_text('phonon', distance=self.distance, supercell=list(self.supercell)))
