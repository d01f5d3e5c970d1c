"""`Crystal`: the primitive cell of a crystal in its standard orientation, and what its symmetry says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import numpy as np
import spglib
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError

SYMPREC: Final = 1e-3
"""Å, distance within which atoms count as related by symmetry; positions in files have few digits."""

SAME_SITE: Final = 1e-3
"""Distance of scaled positions within which an operation leaves an atom where it is, dimensionless."""


class Family(StrEnum):
    """Which elastic constants are told one by one; of other crystals, averages are."""

    CUBIC = 'cubic'
    HEXAGONAL = 'hexagonal'
    OTHER = 'other'


_FAMILIES: Final = ((195, 230, Family.CUBIC), (168, 194, Family.HEXAGONAL))
"""Numbers of the space groups of each family, first and last."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """A crystal.

    :param name: by which configuration and report speak of it.
    :param atoms: primitive cell (Å); the axes of a cubic crystal along x, y and z, that of a hexagonal one along z.
    """

    name: str
    atoms: Atoms

    @classmethod
    def standardized(cls, name: str, atoms: Atoms) -> Crystal:
        """Return a crystal from any of its cells.

        :raises InputError: spglib finds no symmetry, as in a cell with two atoms in one place.
        """
        try:
            found = spglib.standardize_cell(_cell_of(atoms), to_primitive=True, no_idealize=False, symprec=SYMPREC)
        except spglib.SpglibError as error:  # raised or not by a switch that other packages set
            raise InputError(f'crystal {name}: spglib finds no primitive cell in {atoms.symbols}: {error}') from error
        if found is None:
            raise InputError(f'crystal {name}: spglib finds no primitive cell in {atoms.symbols}')
        lattice, positions, numbers = found
        return cls(name, Atoms(numbers=numbers, scaled_positions=positions, cell=lattice, pbc=True))

    @property
    def volume(self) -> float:
        """Å³ of each atom."""
        return float(self.atoms.cell.volume / len(self.atoms))

    @property
    def is_element(self) -> bool:
        """Whether all atoms are of one element."""
        return len(set(self.atoms.numbers.tolist())) == 1

    @cached_property
    def family(self) -> Family:
        """The family of its space group."""
        number = int(self._symmetry['number'])
        return next((family for first, last, family in _FAMILIES if first <= number <= last), Family.OTHER)

    @cached_property
    def has_inner_freedom(self) -> bool:
        """Whether atoms move within a strained cell: not where each is a centre of inversion, which any strain keeps."""
        inversions = np.all(self._symmetry['rotations'] == -np.eye(3, dtype=int), axis=(1, 2))
        shifts = np.asarray(self._symmetry['translations'])[inversions]
        # An inversion takes x to t - x: it leaves an atom in its place if 2x - t is a lattice vector.
        away = 2.0 * self.atoms.get_scaled_positions()[:, None, :] - shifts[None, :, :]
        is_kept = (np.abs(away - np.rint(away)) < SAME_SITE).all(axis=2)
        return not bool(is_kept.any(axis=1).all())

    def at_volume(self, volume: float) -> Crystal:
        """Return the crystal scaled alike along all axes.

        :param volume: Å³ of each atom.
        """
        atoms = self.atoms.copy()
        atoms.set_cell(atoms.cell.array * (volume / self.volume) ** (1 / 3), scale_atoms=True)
        return Crystal(self.name, atoms)

    def conventional(self) -> Atoms:
        """Return the conventional cell, which Miller indices refer to."""
        lattice, positions, numbers = spglib.standardize_cell(_cell_of(self.atoms), to_primitive=False, symprec=SYMPREC)
        return Atoms(numbers=numbers, scaled_positions=positions, cell=lattice, pbc=True)

    @cached_property
    def _symmetry(self) -> Mapping[str, Any]:
        found = spglib.get_symmetry_dataset(_cell_of(self.atoms), symprec=SYMPREC)
        if found is None:
            raise InputError(f'crystal {self.name}: spglib finds no symmetry in {self.atoms.symbols}')
        return {name: getattr(found, name) for name in ('number', 'rotations', 'translations')}


def strained(atoms: Atoms, strain: Sequence[Sequence[float]] | np.ndarray) -> Atoms:
    """Return a cell in which each vector r is r (I + ε), scaled positions kept.

    :param strain: ε, symmetric, dimensionless, shape (3, 3).
    """
    changed = atoms.copy()
    changed.set_cell(atoms.cell.array @ (np.eye(3) + np.asarray(strain)), scale_atoms=True)
    return changed


def _cell_of(atoms: Atoms) -> tuple[Any, Any, Any]:
    return atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers
