"""`PropertiesConfig`: what a potential must reproduce of its crystals before a run may call it good."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PositiveFloat, create_model, field_validator

from aiida_mlip_autopipe.common.crystal_names import crystal_names, system_crystals
from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.science.properties.eos import EosProperty
from aiida_mlip_autopipe.science.properties.quantity import registered_properties


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


def _sections() -> dict[str, Any]:
    """Return a field for each registered property."""
    return {name: (kind | None, kind() if kind.IS_DEFAULT else None) for name, kind in registered_properties().items()}


if TYPE_CHECKING:
    _Assembled = Settings
else:
    _Assembled = create_model('_Assembled', __base__=Settings, **_sections())


class PropertiesConfig(_Assembled):
    """Properties in which the potential is compared with the labeller at equal settings; null leaves one out."""

    crystals: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        description='names of crystals among the bases: a formula of the system such as Al, an ordered crystal such as L1_2 '
        'AlNi3, a file of generate.files by its name without ending; none: those of the system with one element on each '
        'sublattice',
    )
    eos: EosProperty = EosProperty()
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
