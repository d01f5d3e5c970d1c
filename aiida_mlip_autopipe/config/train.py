"""`TrainingConfig`: the fit of the potential."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    model_validator,
)

from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.config.ace import AceConfig
from aiida_mlip_autopipe.config.checks import ChecksConfig
from aiida_mlip_autopipe.config.pacemaker import PacemakerConfig

POD = 'mlip_autopipe.pod'
"""Entry point of the trainer that needs LAMMPS alone."""

ACE = 'mlip_autopipe.ace'
"""Entry point of linear ACE, which runs in mlip-worker too and needs `python-ace` there."""

AUTO = 'auto'
"""A weight or a ridge that is found by evidence."""

PACEMAKER = 'mlip_autopipe.pacemaker'
"""Entry point of the trainer that has no stress loss."""


class TrainingConfig(Settings):
    """Trainer, basis, weights and regularisation."""

    trainer: str = Field(default=POD, description='entry point of the process that fits a potential')
    code: str | None = Field(
        default=None, description='label of the AiiDA code of the trainer, such as that of pacemaker; null: that of mlip-worker'
    )
    cutoff: float = Field(default=4.5, ge=2, le=12, description='Å, range of the interaction')
    basis: Literal['S', 'M', 'L', 'auto'] = Field(
        default='auto',
        description='size of the basis of POD; auto: the one with the greatest evidence, L from 2000 training atoms of the '
        'rarest element',
    )
    energy_weight: Literal['auto'] | PositiveFloat = Field(
        default=12.0, description='weight of the energy of a cell over √N, per eV/√atom; auto: from its noise by evidence'
    )
    force_weight: PositiveFloat = Field(default=1.0, description='weight of a force component, per eV/Å')
    stress_weight: Literal['auto'] | NonNegativeFloat = Field(
        default='auto', description='weight of a stress component, per eV/Å³; auto: from its noise by evidence'
    )
    ridge: Literal['auto'] | Annotated[float, Field(gt=0, lt=1)] = Field(
        default='auto', description='relative ridge, dimensionless; auto: the one with the greatest evidence'
    )
    core_repulsion: bool = Field(
        default=True,
        description='add a ZBL repulsion below the shortest distance of the training set (ACE: below 0.8 of it, for each pair)',
    )
    ace: AceConfig = AceConfig()
    pacemaker: PacemakerConfig = PacemakerConfig()
    checks: ChecksConfig = ChecksConfig()

    @property
    def starts_linear(self) -> bool:
        """Whether the first fit starts from one of linear ACE."""
        return self.trainer == PACEMAKER and self.pacemaker.initial_potential == 'linear'

    @property
    def starts_afresh(self) -> bool:
        """Whether later rounds do not start from the potential of the round before either."""
        return self.trainer == PACEMAKER and self.pacemaker.initial_potential == 'none'

    @model_validator(mode='after')
    def check_stress_weight(self) -> Self:
        """Refuse a stress weight that somebody chose for a trainer that would ignore it."""
        if self.starts_afresh and self.stress_weight not in (AUTO, 0):
            raise ValueError(
                f'stress_weight: got {self.stress_weight:g}; Pacemaker has no stress loss and would ignore it: '
                'leave it out, start from a linear fit, or train with mlip_autopipe.ace'
            )
        return self
