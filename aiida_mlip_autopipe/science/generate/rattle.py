"""Random displacements of all atoms of a structure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, chemical_symbols
from ase.units import _amu, _hbar, _k
from matscipy.neighbours import neighbour_list
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.common.settings import Element
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import OF, STRAINED, Kind, Of, Strategy

CONFIG_TYPE = 'rattle'

METRE = 1e10
"""Å in one m."""

MAX_TRIALS = 1000
"""Draws of the displacement of one atom under a minimum distance, before the settings are refused."""


class Rattle(Strategy):
    """Normally distributed displacements without a common drift, so that a cell of one atom stays as it is."""

    KIND: ClassVar[Kind] = Kind.DRAWN
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    PARENTS = STRAINED
    IS_DEFAULT = True
    ORDER = 105

    count: NonNegativeInt = Field(default=4, description='rattled structures for each base structure')
    stdev: float = Field(default=0.1, gt=0, le=1.0, description='Å, standard deviation of each coordinate')
    stdev_by_element: dict[Element, Annotated[float, Field(ge=0, le=1.0)]] = Field(
        default={}, description='Å, in place of stdev for the elements named'
    )
    temperature: NonNegativeFloat | None = Field(
        default=None, description='K; with it the standard deviations are those of the Debye or the Einstein model'
    )
    debye_temperature: PositiveFloat = Field(default=300.0, description='K')
    einstein_temperature: PositiveFloat | None = Field(
        default=None, description='K; with it the model is that of Einstein, in place of Debye'
    )
    min_distance: PositiveFloat | None = Field(
        default=None, description='Å; with it displacements that bring atoms nearer are drawn again'
    )
    of: Of = Field(default=None, description=OF)

    @model_validator(mode='after')
    def check_model(self) -> Self:
        """Refuse a model of vibrations without a temperature."""
        if self.einstein_temperature is not None and self.temperature is None:
            raise ValueError('temperature must be given with einstein_temperature, in K')
        return self

    def compositions(self, counts: Counter[str]) -> list[Counter[str]]:
        """Return the composition of the parent, which stays."""
        return [counts]

    def __call__(self, atoms: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield `count` rattled structures of the same cell.

        :param atoms: the structure to rattle.
        """
        for _ in range(self.count):
            yield self.one(atoms, rng)

    def one(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        """Return one rattled structure.

        :raises InputError: the minimum distance cannot be met.
        """
        widths = self._widths(atoms)
        displacements = rng.normal(scale=widths, size=(len(atoms), 3))
        if self.min_distance is not None:
            displacements = _kept_apart(atoms, displacements, widths, self.min_distance, rng)
        positions = atoms.positions + displacements - displacements.sum(axis=0) / len(atoms)
        return fresh_atoms(atoms, CONFIG_TYPE, self._origin, positions=positions)

    def _widths(self, atoms: Atoms) -> float | FloatArray:
        if self.temperature is None and not self.stdev_by_element:
            return self.stdev
        by_number = {}
        for number in set(atoms.numbers.tolist()):
            plain = self.stdev
            if self.temperature is not None:
                plain = self._thermal(float(atomic_masses[number]), self.temperature)
            by_number[number] = self.stdev_by_element.get(chemical_symbols[number], plain)
        return np.array([by_number[number] for number in atoms.numbers.tolist()])[:, None]

    @property
    def _model(self) -> dict[str, float]:
        """The temperature of the model of vibrations, by its name, K."""
        if self.einstein_temperature is not None:
            return {'einstein_temperature': self.einstein_temperature}
        return {'debye_temperature': self.debye_temperature}

    def _thermal(self, mass: float, temperature: float) -> float:
        """Return the standard deviation of an atom of a mass in u at a temperature in K, Å."""
        if self.einstein_temperature is not None:
            return einstein_stdev(mass, temperature, self.einstein_temperature)
        return debye_stdev(mass, temperature, self.debye_temperature)

    @cached_property
    def _origin(self) -> str:
        told: dict[str, Any] = {'stdev': self.stdev}
        if self.temperature is not None:
            told = {'temperature': self.temperature, **self._model}
        if self.stdev_by_element:
            told['stdev_by_element'] = dict(self.stdev_by_element)
        if self.min_distance is not None:
            told['min_distance'] = self.min_distance
        return origin_text('rattle', **told)


@lru_cache(maxsize=256)
def debye_stdev(mass: float, temperature: float, debye_temperature: float) -> float:
    """Return the standard deviation of a coordinate of an atom in a Debye solid, Å.

    σ² = 3 ħ² T / (m k θ²) (Φ(θ/T) + θ/4T), Φ(x) = 1/x ∫₀ˣ t / (eᵗ - 1) dt (Willis and Pryor, Thermal Vibrations in
    Crystallography, 1975). At T = 0 what is left is the zero-point motion, 3 ħ² / (4 m k θ).

    :param mass: u.
    :param temperature: K.
    :param debye_temperature: θ, K.
    """
    scale = 3.0 * _hbar**2 / (mass * _amu * _k * debye_temperature)
    ratio = temperature / debye_temperature
    integral = 0.0
    if ratio > 0:
        t = np.linspace(1e-6, min(1.0 / ratio, 50.0), 2001)
        integral = float(np.trapezoid(t / np.expm1(t), t)) * ratio**2
    return float(np.sqrt(scale * (integral + 0.25)) * METRE)


def einstein_stdev(mass: float, temperature: float, einstein_temperature: float) -> float:
    """Return the standard deviation of a coordinate of an independent quantum oscillator, Å.

    σ² = ħ² / (2 m k θ) coth(θ / 2T); at T = 0 what is left is the zero-point motion, at high T it is ħ² T / (m k θ²).

    :param mass: u.
    :param temperature: K.
    :param einstein_temperature: θ, K.
    """
    scale = _hbar**2 / (2.0 * mass * _amu * _k * einstein_temperature)
    cotangent = 1.0 / np.tanh(einstein_temperature / (2.0 * temperature)) if temperature > 0 else 1.0
    return float(np.sqrt(scale * cotangent) * METRE)


def _kept_apart(
    atoms: Atoms, displacements: FloatArray, widths: float | FloatArray, limit: float, rng: np.random.Generator
) -> FloatArray:
    """Return the displacements, those drawn again that bring two atoms nearer than `limit`, Å."""
    moved, spread = displacements.copy(), np.broadcast_to(np.asarray(widths), (len(atoms), 1))
    for _ in range(MAX_TRIALS):
        first = neighbour_list('i', positions=atoms.positions + moved, cell=atoms.cell.array, pbc=atoms.pbc, cutoff=limit)
        if not len(first):
            return moved
        again = np.unique(first)
        moved[again] = rng.normal(scale=spread[again], size=(len(again), 3))
    raise InputError(
        f'rattle: displacements of {float(np.max(spread)):.3g} Å do not keep the atoms of {atoms.symbols} {limit} Å apart '
        f'within {MAX_TRIALS} trials; lower stdev or min_distance'
    )
