"""Homogeneous strains of a cell: random ones and an isotropic series for the equation of state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text

CONFIG_TYPE = 'strain'

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
            yield _strained(atoms, np.array([linear] * 3 + [0.0] * 3), 'hydrostatic')

    def one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Return one randomly strained structure."""
        return _strained(atoms, rng.uniform(-self.max_strain, self.max_strain, size=6), 'random')


def _strained(atoms: Atoms, components: FloatArray, kind: str) -> Atoms:
    xx, yy, zz, yz, xz, xy = components
    deformation = np.eye(3) + np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    names = ('xx', 'yy', 'zz', 'yz', 'xz', 'xy')
    values = {name: round(float(value), 10) for name, value in zip(names, components, strict=True)}
    return fresh_atoms(
        atoms,
        CONFIG_TYPE,
        origin_text('strain', kind=kind, components=values),
        cell=atoms.cell.array @ deformation,
        positions=atoms.positions @ deformation,
    )
