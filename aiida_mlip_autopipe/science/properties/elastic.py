"""Elastic constants of a crystal at its equilibrium, by central differences of the stress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from ase import Atoms
from pydantic import Field, PositiveFloat

from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.science.properties.crystal import Crystal, Family, strained
from aiida_mlip_autopipe.science.properties.force_constants import displaced_cells, phonon_of, with_forces
from aiida_mlip_autopipe.science.properties.quantity import Limit, Property, Quantity, Result, stress_of

ONE_CELL: Final = (1, 1, 1)

VOIGT: Final = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Rows and columns of the Voigt components xx, yy, zz, yz, xz, xy."""

_ENOUGH: Final[Mapping[Family, tuple[int, ...]]] = {Family.CUBIC: (0, 3), Family.HEXAGONAL: (0, 2, 3)}
"""Strains from which all constants follow by symmetry, where no atom moves within the cell."""

_ALL: Final = tuple(range(6))

_UPPER: Final = ((0, 1), (0, 2), (1, 2))

_CONSTANTS: Final[Mapping[Family, Mapping[str, Sequence[tuple[int, int]]]]] = {
    Family.CUBIC: {'C11': ((0, 0), (1, 1), (2, 2)), 'C12': _UPPER, 'C44': ((3, 3), (4, 4), (5, 5))},
    Family.HEXAGONAL: {
        'C11': ((0, 0), (1, 1)),
        'C33': ((2, 2),),
        'C12': ((0, 1),),
        'C13': ((0, 2), (1, 2)),
        'C44': ((3, 3), (4, 4)),
    },
}
"""Independent constants and the places of the tensor that hold them, each with its mirror image."""


class ElasticProperty(Property):
    """Elastic constants: central differences of the stress at the equilibrium of each method, atoms in their places of rest.

    Where symmetry lets atoms move within the strained cell, C = C⁰ - Λᵀ K⁻¹ Λ / V with the constants C⁰ of atoms that keep
    their relative positions, Λ = dF/dη of the forces and the force constants K of atoms that move alike in all cells: X. Wu,
    D. Vanderbilt, D. R. Hamann, Phys. Rev. B 72, 035105 (2005), eq. 23. No structure is relaxed, so that the labels of the
    reference depend on no potential.
    """

    ORDER = 1
    IS_DEFAULT = True

    strain: float = Field(default=0.01, gt=0, le=0.03, description='dimensionless, engineering strain of the differences')
    displacement: float = Field(
        default=0.01,
        gt=0,
        le=0.1,
        description='Å, displacements by which the response of the atoms within the cell is found, where symmetry leaves one',
    )
    error: PositiveFloat = Field(default=0.15, le=1, description='dimensionless, largest relative error of a constant')
    floor: PositiveFloat = Field(
        default=5.0, le=100, description='GPa, error of a constant that passes in any case: small ones have large relative errors'
    )

    def frames(self, crystal: Crystal) -> dict[str, Atoms]:
        """Return the strained cells, and the displaced ones where atoms may move within the cell."""
        cells = {
            _part(index, sign): strained(crystal.atoms, _tensor(index, sign * self.strain))
            for index in _components(crystal)
            for sign in (1, -1)
        }
        if crystal.has_inner_freedom:
            moved = displaced_cells(phonon_of(crystal.atoms, ONE_CELL, self.displacement))
            cells |= {f'displaced {number}': atoms for number, atoms in enumerate(moved)}
        return cells

    def quantities(self, crystal: Crystal, found: Mapping[str, Result]) -> list[Quantity]:
        """Return the independent constants; bulk and shear modulus by Voigt's averages for a crystal of another family."""
        tensor = self.tensor(crystal, found) / GPA
        if crystal.family is Family.OTHER:
            return [Quantity(name, value, 'GPa') for name, value in voigt_averages(tensor).items()]
        return [Quantity(name, _mean(tensor, places), 'GPa') for name, places in _CONSTANTS[crystal.family].items()]

    def limit(self, quantity: Quantity) -> Limit:
        """Return the relative limit with its floor."""
        return Limit(relative=self.error, absolute=self.floor)

    def tensor(self, crystal: Crystal, found: Mapping[str, Result]) -> FloatArray:
        """Return the constants, eV/Å³, shape (6, 6); columns of strains that symmetry makes superfluous are not a number.

        :raises InputError: a structure has no stress.
        """
        tensor = np.full((6, 6), np.nan)
        for index in _components(crystal):
            plus, minus = (stress_of(found, _part(index, sign)) for sign in (1, -1))
            tensor[:, index] = (plus - minus) / (2.0 * self.strain)
        return tensor - self._relaxation(crystal, found) if crystal.has_inner_freedom else tensor

    def _relaxation(self, crystal: Crystal, found: Mapping[str, Result]) -> FloatArray:
        """Return Λᵀ K⁻¹ Λ / V, eV/Å³."""
        columns = [(found[_part(i, 1)].forces - found[_part(i, -1)].forces).ravel() for i in _ALL]
        forces = np.array(columns).T / (2.0 * self.strain)
        phonon = phonon_of(crystal.atoms, ONE_CELL, self.displacement)
        moved = [found[f'displaced {number}'].forces for number in range(len(displaced_cells(phonon)))]
        constants = with_forces(phonon, moved).force_constants
        size = 3 * len(crystal.atoms)
        matrix = constants.transpose(0, 2, 1, 3).reshape(size, size)
        # The three translations of the whole crystal cost nothing: the pseudo-inverse leaves them out.
        inverse = np.linalg.pinv(matrix, rcond=1e-6, hermitian=True)
        return np.asarray(forces.T @ inverse @ forces / crystal.atoms.cell.volume)


def voigt_averages(tensor: FloatArray) -> dict[str, float]:
    """Return bulk modulus K and shear modulus G of randomly turned grains with the same strain, in the unit of the tensor.

    9 K = C11 + C22 + C33 + 2 (C12 + C13 + C23), 15 G = C11 + C22 + C33 - (C12 + C13 + C23) + 3 (C44 + C55 + C66).
    """
    axial, mixed, shear = np.trace(tensor[:3, :3]), sum(_pair(tensor, i, j) for i, j in _UPPER), np.trace(tensor[3:, 3:])
    return {'K': float((axial + 2.0 * mixed) / 9.0), 'G': float((axial - mixed + 3.0 * shear) / 15.0)}


def _components(crystal: Crystal) -> tuple[int, ...]:
    return _ALL if crystal.has_inner_freedom else _ENOUGH.get(crystal.family, _ALL)


def _tensor(index: int, size: float) -> FloatArray:
    """Return the strain tensor of one Voigt component of engineering strain."""
    row, column = VOIGT[index]
    tensor = np.zeros((3, 3))
    tensor[row, column] = tensor[column, row] = size if row == column else 0.5 * size
    return tensor


def _part(index: int, sign: int) -> str:
    return f'strain {index + 1}{"+" if sign > 0 else "-"}'


def _pair(tensor: FloatArray, row: int, column: int) -> float:
    return float(0.5 * (tensor[row, column] + tensor[column, row]))


def _mean(tensor: FloatArray, places: Sequence[tuple[int, int]]) -> float:
    return float(np.nanmean([[tensor[row, column], tensor[column, row]] for row, column in places]))
