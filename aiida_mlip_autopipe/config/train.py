"""`TrainingConfig`: the fit of the potential."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from aiida_mlip_autopipe.config.base import Settings


class TrainingConfig(Settings):
    """Trainer, basis, weights and regularisation."""

    trainer: str = Field(default='mlip_autopipe.pod', description='entry point of the process that fits a potential')
    cutoff: float = Field(default=4.5, ge=2, le=12, description='Å, range of the interaction')
    basis: Literal['S', 'M', 'L', 'auto'] = Field(
        default='auto', description='size of the basis; auto: S below 300 training atoms per element, else M'
    )
    energy_weight: PositiveFloat = Field(default=100.0, description='weight of the energy per atom, per eV')
    force_weight: PositiveFloat = Field(default=1.0, description='weight of a force component, per eV/Å')
    stress_weight: NonNegativeFloat = Field(default=100.0, description='weight of a stress component, per eV/Å³')
    ridge: Literal['auto'] | Annotated[float, Field(gt=0, lt=1)] = Field(
        default='auto', description='relative ridge, dimensionless; auto: cross-validation grouped by lineage'
    )
    core_repulsion: bool = Field(default=True, description='add a ZBL repulsion below the shortest distance of the training set')
