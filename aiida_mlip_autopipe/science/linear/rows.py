"""`DesignRows`: the rows of a linear model for one structure, and `RowSource`, what computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ase import Atoms

from aiida_mlip_autopipe.common.frames import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class DesignRows:
    """Rows of the linear model for one structure: each quantity is rows @ coefficients.

    :param energy: eV per coefficient, shape (n_coefficients,).
    :param forces: eV/Å per coefficient, components x, y, z of the atoms in turn, shape (3 n_atoms, n_coefficients).
    :param stress: eV/Å³ per coefficient, ASE's sign and Voigt order, shape (6, n_coefficients), or None when not asked for.
    :param descriptors: per atom, what the active set is chosen from, shape (n_atoms, n_descriptors).
    :param types: position of each atom's element in the potential's order, shape (n_atoms,).
    """

    energy: FloatArray
    forces: FloatArray
    stress: FloatArray | None
    descriptors: FloatArray
    types: IntArray


class RowSource(Protocol):
    """What turns structures into rows."""

    @property
    def one_body(self) -> IntArray:
        """Columns whose coefficient is the energy of an atom without neighbours, by element; none where there is no such."""

    @property
    def roughness(self) -> FloatArray:
        """How much less is expected of each column than of the smoothest one, at least 1, shape (n_coefficients,).

        The prior of a coefficient is that much narrower: a rough function has to be worth its while.
        """

    def design(self, atoms: Atoms, *, with_stress: bool = True) -> DesignRows:
        """Return the rows of a periodic structure."""
