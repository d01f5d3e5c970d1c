"""`ActiveLearningConfig`: rounds, budget and the conditions that end the loop."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from aiida_mlip_autopipe.config.base import Settings


class ActiveLearningConfig(Settings):
    """How many labels are bought, in how many rounds, and when it is enough."""

    max_rounds: PositiveInt = Field(default=2, description='fits, the first one (round 0) included')
    max_labels: PositiveInt = Field(default=200, description='labels bought in all rounds, isolated atoms and failures included')
    initial_labels: int = Field(default=40, ge=2, description='labels of round 0, isolated atoms not counted')
    labels_per_round: PositiveInt = Field(default=8, description='labels of each later round; small rounds cost little')
    test_fraction: float = Field(
        default=0.2, gt=0, le=0.5, description='share of round 0 that is the frozen test set, whole lineages'
    )
    force_rmse_target: PositiveFloat | None = Field(
        default=None, description='eV/Å, error on the frozen test set below which a run may call itself converged'
    )
    patience: PositiveInt = Field(default=3, description='rounds without progress on the frozen test set before it stops')
