"""Homogeneous strains of a cell: random ones and an isotropic series for the equation of state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'strain'

VOIGT = ('xx', 'yy', 'zz', 'yz', 'xz', 'xy')

_LARGEST_STRAIN = 1.0 / 3.0
"""Below it I + ε is positive definite whatever the components are: 1 - m > 2m (Gershgorin)."""


@dataclass(frozen=True)
class Strain:
    """Symmetric strains ε: each lattice vector and each position r becomes r (I + ε).

    :param count: number of random strains.
    :param max_strain: bound m of the components of ε, each drawn from [-m, m]; dimensionless, in 0..1/3. Off-diagonal
        components are those of the tensor, half of the engineering shear.
    :param hydrostatic: linear strains h applied as ε = h I after the random ones, each above -1.
    :raises InputError: a value is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    count: int
    max_strain: float
    hydrostatic: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that could turn a cell inside out."""
        if self.count < 0:
            raise InputError(f'strain: count must be at least 0, got {self.count}')
        if not 0.0 <= self.max_strain < _LARGEST_STRAIN:
            raise InputError(f'strain: max_strain must lie in 0..1/3, got {self.max_strain}')
        for linear in self.hydrostatic:
            if not -1.0 < linear < np.inf:
                raise InputError(f'strain: each hydrostatic strain must be above -1, got {linear}')

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
