"""`GeneratorConfig`: how candidate structures are made from the target system."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from aiida_mlip_autopipe.config.base import Settings

LinearStrain = Annotated[float, Field(gt=-0.5, lt=0.5)]


class SQSConfig(Settings):
    """Special quasirandom structures made by icet."""

    per_composition: PositiveInt = Field(default=2, description='structures for each composition and supercell')
    steps: PositiveInt = Field(default=2000, description='Monte Carlo steps for each structure')
    cutoffs: list[PositiveFloat] = Field(
        default=[5.0], min_length=1, description='Å, cluster radii: pairs first, then triplets, …'
    )


class StrainConfig(Settings):
    """Symmetric strains of each base structure."""

    count: NonNegativeInt = Field(default=3, description='random strains for each base structure')
    max_strain: float = Field(default=0.03, gt=0, lt=1 / 3, description='largest strain component, dimensionless')
    hydrostatic: list[LinearStrain] = Field(
        default=[-0.04, 0.04], description='linear strains applied along all axes alike, dimensionless'
    )


class RattleConfig(Settings):
    """Gaussian displacements of all atoms."""

    count: NonNegativeInt = Field(default=4, description='rattled structures for each base structure')
    stdev: float = Field(default=0.1, gt=0, le=1.0, description='Å, standard deviation of each coordinate')


class VacancyConfig(Settings):
    """Missing atoms."""

    count: NonNegativeInt = Field(default=1, description='structures with vacancies for each base structure')
    n_vacancies: PositiveInt = Field(default=1, description='atoms taken out of each')


class GeneratorConfig(Settings):
    """Structures made for each composition: SQS, then strain, rattle and vacancies."""

    sqs: SQSConfig = SQSConfig()
    strain: StrainConfig = StrainConfig()
    rattle: RattleConfig = RattleConfig()
    vacancy: VacancyConfig = VacancyConfig()
