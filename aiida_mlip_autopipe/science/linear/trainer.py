"""`LinearTrainer`: what the trainers of linear potentials have in common, weights and ridge by evidence."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.science.linear.settings import ENERGY_WEIGHT
from aiida_mlip_autopipe.science.trainer import Trainer

AUTO: Final = 'auto'
"""A weight or a ridge that is found by evidence."""

BY_EVIDENCE: Final = ('energy_weight', 'stress_weight', 'ridge')

CORE: Final = 'add a ZBL repulsion below the shortest distance of the training set (ACE: below 0.8 of it, for each pair)'


class LinearWeights(Settings):
    """Weights and ridge of a linear fit."""

    energy_weight: Literal['auto'] | PositiveFloat = Field(
        default=ENERGY_WEIGHT,
        description='weight of the energy of a cell over √N, per eV/√atom; auto: from its noise by evidence',
    )
    force_weight: PositiveFloat = Field(default=1.0, description='weight of a force component, per eV/Å')
    stress_weight: Literal['auto'] | NonNegativeFloat = Field(
        default=AUTO, description='weight of a stress component, per eV/Å³; auto: from its noise by evidence'
    )
    ridge: Literal['auto'] | Annotated[float, Field(gt=0, lt=1)] = Field(
        default=AUTO, description='relative ridge, dimensionless; auto: the one with the greatest evidence'
    )


class LinearTrainer(LinearWeights, Trainer):
    """Linear fits by evidence."""

    core_repulsion: bool = Field(default=True, description=CORE)

    def fit_settings(self, elements: tuple[str, ...], seed: int) -> dict[str, Any]:
        """Return the fields of `LinearSettings`."""
        found = {name: getattr(self, name) for name in BY_EVIDENCE}
        return {
            'elements': elements,
            'cutoff': self.cutoff,
            'force_weight': self.force_weight,
            'core': self.core_repulsion,
            'seed': seed,
            'n_predictions': self.checks.compared_frames,
            **{name: None if value == AUTO else value for name, value in found.items()},
        }
