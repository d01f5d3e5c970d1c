"""`PropertiesConfig`: what a potential must reproduce of its crystals before a run may call it good."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from aiida_mlip_autopipe.common.crystal_names import crystal_names, system_crystals
from aiida_mlip_autopipe.common.settings import Settings

Repeats = tuple[PositiveInt, PositiveInt, PositiveInt]
Miller = tuple[int, int, int]
Point = tuple[float, float, float]

WHOLE_TOLERANCE = 1e-6
"""How far the repeats times a coordinate of a q-point may lie from a whole number."""


class EosPropertyConfig(Settings):
    """Equation of state: energies at several volumes, the shape of the cell kept; Birch-Murnaghan through them."""

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


class ElasticPropertyConfig(Settings):
    """Elastic constants: central differences of the stress at the equilibrium of each method, atoms in their places of rest."""

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


class VacancyPropertyConfig(Settings):
    """Formation energy of a vacancy in the crystals of one element."""

    supercell: Repeats = Field(default=(3, 3, 3), description='repeats of the primitive cell, vacancy and perfect crystal alike')
    relax: bool = Field(
        default=True,
        description='let the potential relax the atoms around the vacancy, in the cell of its own equilibrium; the reference is '
        'the energy of the same relative positions in the cell of its own equilibrium. Without: the ideal positions, whose '
        'labels no later potential needs anew',
    )
    error: PositiveFloat = Field(default=0.1, le=10, description='eV, largest error of the formation energy')


class SurfacePropertyConfig(Settings):
    """Energy of ideal surfaces, mean of both sides of a slab."""

    millers: list[Miller] = Field(
        default=[(1, 1, 1)], min_length=1, description='Miller indices, of the conventional cell of the crystal'
    )
    layers: int = Field(default=3, ge=1, le=50, description='thickness in periods along the normal')
    vacuum: float = Field(default=10.0, ge=4, le=60, description='Å, between the slab and its image')
    error: PositiveFloat = Field(default=0.1, le=10, description='J/m², largest error of a surface energy')

    @field_validator('millers')
    @classmethod
    def check_millers(cls, value: list[Miller]) -> list[Miller]:
        """Refuse a direction that is none."""
        if not all(any(miller) for miller in value):
            raise ValueError('the three indices of a surface must not all be 0')
        return value


class PhononsPropertyConfig(Settings):
    """Frequencies of phonons at a few q-points, by finite displacements in a supercell (phonopy)."""

    supercell: Repeats = Field(default=(2, 2, 2), description='repeats of the primitive cell')
    distance: float = Field(default=0.02, gt=0, le=0.2, description='Å, length of the displacements')
    q_points: list[Point] = Field(
        default=[(0.5, 0.5, 0.0), (0.5, 0.5, 0.5)],
        min_length=1,
        description='q-points in units of the reciprocal vectors of the primitive cell; exact where they fit the supercell, so '
        'that others are refused',
    )
    error: PositiveFloat = Field(default=0.5, le=10, description='THz, largest error of a frequency')

    @model_validator(mode='after')
    def check_points(self) -> Self:
        """Refuse q-points between those that the supercell holds."""
        for point in self.q_points:
            waves = [n * q for n, q in zip(self.supercell, point, strict=True)]
            if any(abs(wave - round(wave)) > WHOLE_TOLERANCE for wave in waves):
                raise ValueError(
                    f'q_points: {list(point)} does not fit the supercell {list(self.supercell)}: repeats times '
                    'coordinate must be whole numbers'
                )
        return self


class ExpansionPropertyConfig(Settings):
    """Thermal expansion of the potential, by MD at constant pressure; the reference is what is given here, or none."""

    temperatures: list[PositiveFloat] = Field(
        default=[300.0, 600.0], min_length=2, description='K, rising; the expansion is the slope of the volume over them'
    )
    n_atoms: int = Field(default=100, ge=32, le=10_000, description='the crystal is repeated to at least as many atoms')
    timestep: float = Field(default=2.0, gt=0, le=5, description='fs')
    equilibration: int = Field(default=2000, ge=100, description='steps before the volume is looked at')
    steps: int = Field(default=5000, ge=100, description='steps over which the volume is averaged')
    reference: dict[str, PositiveFloat] = Field(
        default={}, description='1/K, linear coefficient of expansion to compare with, for each crystal by its name'
    )
    error: PositiveFloat = Field(
        default=0.3, le=1, description='dimensionless, largest relative error where there is a reference'
    )

    @field_validator('temperatures')
    @classmethod
    def check_temperatures(cls, value: list[float]) -> list[float]:
        """Refuse a ladder that does not rise."""
        if any(high <= low for low, high in pairwise(value)):
            raise ValueError('temperatures must rise')
        return value


class PropertiesConfig(Settings):
    """Properties in which the potential is compared with the labeller at equal settings; null leaves one out."""

    crystals: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        description='names of crystals among the bases: a formula of the system such as Al, an ordered crystal such as L1_2 '
        'AlNi3, a file of generate.files by its name without ending; none: those of the system with one element on each '
        'sublattice',
    )
    eos: EosPropertyConfig = EosPropertyConfig()
    elastic: ElasticPropertyConfig | None = ElasticPropertyConfig()
    vacancy: VacancyPropertyConfig | None = VacancyPropertyConfig()
    surface: SurfacePropertyConfig | None = None
    phonons: PhononsPropertyConfig | None = None
    expansion: ExpansionPropertyConfig | None = None
    lammps_code: str | None = Field(
        default='lmp@localhost',
        description='label of the AiiDA code of lmp, in which aiida-lammps runs relaxations and MD if it has the pair style of '
        'the potential; null, or without the pair style: mlip-worker runs them',
    )

    @field_validator('crystals')
    @classmethod
    def check_repeated(cls, value: list[str]) -> list[str]:
        """Refuse a crystal that is named twice."""
        if len(set(value)) != len(value):
            raise ValueError('names a crystal twice')
        return value


def chosen_crystals(properties: Mapping[str, Any], system: Mapping[str, Any], generate: Mapping[str, Any]) -> list[str]:
    """Return the names of the crystals that are looked at.

    :param properties: fields of `PropertiesConfig`.
    :param system: fields of `TargetSystem`.
    :param generate: fields of `GeneratorConfig`.
    :raises ValueError: a name is not among the bases, or there is no crystal at all; the message begins with the field.
    """
    known = crystal_names(system, generate)
    if unknown := [name for name in properties['crystals'] if name not in known]:
        bases = ', '.join(known) if known else 'none: every base is an alloy, which is no single crystal'
        raise ValueError(f'properties.crystals: got {unknown[0]!r}; it must be a crystal among the bases: {bases}')
    chosen = list(properties['crystals']) or list(system_crystals(system))
    if not chosen:
        raise ValueError(
            'properties.crystals: missing; no alloy of the system has one element on each sublattice, so name a crystal of '
            f'generate.ordered or generate.files ({", ".join(known) or "there is none"}), or leave out properties'
        )
    expansion = properties.get('expansion') or {}
    if strange := [name for name in expansion.get('reference', {}) if name not in chosen]:
        raise ValueError(f'properties.expansion.reference: names {strange[0]!r}; the crystals are {", ".join(chosen)}')
    return chosen
