"""The equation of state of a crystal: equilibrium volume, bulk modulus, and energy at rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.eos import EquationOfState
from pydantic import Field, PositiveFloat, field_validator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.quantity import Limit, Property, Quantity, Result

FORM = 'birchmurnaghan'
"""Of the third order, as ASE names it."""

BULK_MODULUS = 'B0'


@dataclass(frozen=True)
class Equilibrium:
    """A crystal at rest.

    :param volume: V0, Å³/atom.
    :param energy: E0, eV/atom.
    :param modulus: B0, eV/Å³.
    """

    volume: float
    energy: float
    modulus: float


def equilibrium(volumes: FloatArray, energies: FloatArray) -> Equilibrium:
    """Return the minimum of the Birch-Murnaghan equation of the third order through energies.

    :param volumes: Å³/atom, at least 4.
    :param energies: eV/atom.
    :raises InputError: the energies have no minimum among the volumes.
    """
    lowest, order = int(np.argmin(energies)), np.argsort(volumes)
    if lowest in (order[0], order[-1]):
        raise InputError(
            f'the energy has no minimum between {volumes.min():.2f} and {volumes.max():.2f} Å³/atom: it is lowest at an end, '
            f'{volumes[lowest]:.2f} Å³/atom'
        )
    try:
        volume, energy, modulus = EquationOfState(volumes, energies, eos=FORM).fit(warn=False)
    except (RuntimeError, ValueError) as error:
        raise InputError(f'no equation of state goes through the energies {np.round(energies, 4).tolist()} eV/atom') from error
    if not (volumes.min() < volume < volumes.max() and modulus > 0):
        raise InputError(f'the equation of state has its minimum at {volume:.2f} Å³/atom, outside of the volumes')
    return Equilibrium(float(volume), float(energy), float(modulus))


class EosProperty(Property):
    """Equation of state: energies at several volumes, the shape of the cell kept; Birch-Murnaghan through them.

    The volumes are evenly spaced, and the relative positions stay as they are.
    """

    volumes: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.9, 1.1), description='smallest and largest volume in units of that of the base, dimensionless'
    )
    count: int = Field(default=9, ge=5, le=51, description='number of volumes')
    volume_error: PositiveFloat = Field(
        default=0.01, le=1, description='dimensionless, largest relative error of the equilibrium volume V0'
    )
    modulus_error: PositiveFloat = Field(
        default=0.10, le=1, description='dimensionless, largest relative error of the bulk modulus B0'
    )

    @field_validator('volumes')
    @classmethod
    def check_volumes(cls, value: tuple[float, float]) -> tuple[float, float]:
        """Refuse a series that does not hold the volume of the base."""
        if not 0.5 <= value[0] < 1 < value[1] <= 2:
            raise ValueError('must be a volume in 0.5..1 and one in 1..2 with the base between them')
        return value

    def frames(self, crystal: Crystal) -> dict[str, Atoms]:
        """Return the crystal at each volume."""
        series = np.linspace(*self.volumes, self.count)
        return {f'volume {share:.6g}': crystal.at_volume(share * crystal.volume).atoms for share in series.tolist()}

    def rest(self, found: Mapping[str, Result]) -> Equilibrium:
        """Return the minimum.

        :raises InputError: there is none among the volumes.
        """
        n_atoms = {part: len(result.atoms) for part, result in found.items()}
        volumes = np.array([result.atoms.cell.volume / n_atoms[part] for part, result in found.items()])
        return equilibrium(volumes, np.array([result.energy / n_atoms[part] for part, result in found.items()]))

    def quantities(self, crystal: Crystal, found: Mapping[str, Result]) -> list[Quantity]:
        """Return V0 and B0."""
        rest = self.rest(found)
        return [Quantity('V0', rest.volume, 'Å³/atom'), Quantity(BULK_MODULUS, rest.modulus / GPA, 'GPa')]

    def limit(self, quantity: Quantity) -> Limit:
        """Return the relative limit of volume or modulus."""
        return Limit(relative=self.modulus_error if quantity.name == BULK_MODULUS else self.volume_error)
