"""Homogeneous strains of a cell: random ones and an isotropic series for the equation of state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from ase import Atoms
from pydantic import Field, NonNegativeInt

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.common.ranges import Spread
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import OF, Kind, Of, Strategy

CONFIG_TYPE = 'strain'

LinearStrain = Annotated[float, Field(gt=-0.5, lt=0.5)]

VOIGT = ('xx', 'yy', 'zz', 'yz', 'xz', 'xy')


class Strain(Strategy):
    """Symmetric strains ε: each lattice vector and each position r becomes r (I + ε)."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    IS_DEFAULT = True
    ORDER = 100

    count: NonNegativeInt = Field(default=3, description='random strains for each base structure')
    # below 1/3 I + ε is positive definite whatever the components are: 1 - m > 2m (Gershgorin)
    max_strain: float = Field(default=0.03, gt=0, lt=1 / 3, description='largest strain component, dimensionless')
    hydrostatic: Annotated[tuple[LinearStrain, ...], Spread] = Field(
        default=(-0.04, 0.04), description='linear strains applied along all axes alike, dimensionless'
    )
    of: Of = Field(default=None, description=OF)

    @property
    def is_used(self) -> bool:
        """Whether it strains anything."""
        return bool(self.count or self.hydrostatic)

    def compositions(self, counts: Counter[str]) -> list[Counter[str]]:
        """Return the composition of the parent, which stays."""
        return [counts]

    def __call__(self, atoms: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield `count` randomly strained structures and one for each hydrostatic strain.

        :param atoms: the structure to strain; scaled positions are kept.
        """
        for _ in range(self.count):
            yield self.one(atoms, rng)
        for linear in self.hydrostatic:
            yield strained(atoms, np.array([linear] * 3 + [0.0] * 3), 'hydrostatic')

    def one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Return one randomly strained structure."""
        return strained(atoms, rng.uniform(-self.max_strain, self.max_strain, size=6), 'random')


def strained(atoms: Atoms, components: FloatArray, kind: str, config_type: str = CONFIG_TYPE) -> Atoms:
    """Return a homogeneously strained structure, r → r (I + ε); scaled positions are kept.

    :param components: of ε in Voigt order (xx, yy, zz, yz, xz, xy), off-diagonal ones those of the tensor, shape (6,).
    :param kind: of the strain, for the origin.
    :raises InputError: the strain would turn the cell inside out.
    """
    xx, yy, zz, yz, xz, xy = components
    deformation = np.eye(3) + np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    if not np.linalg.eigvalsh(deformation).min() > 0:
        raise InputError(f'strain: {kind} {np.round(components, 6).tolist()} turns the cell inside out; I + ε must stay positive')
    values = {name: round(float(value), 10) for name, value in zip(VOIGT, components, strict=True)}
    return fresh_atoms(
        atoms,
        config_type,
        origin_text(config_type, kind=kind, components=values),
        cell=atoms.cell.array @ deformation,
        positions=atoms.positions @ deformation,
    )
