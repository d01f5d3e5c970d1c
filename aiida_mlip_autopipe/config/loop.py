"""`ActiveLearningConfig`: rounds, budget and the conditions that end the loop."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from aiida_mlip_autopipe.config.base import Settings


class ActiveLearningConfig(Settings):
    """How many labels are bought, in how many rounds, and when it is enough."""

    max_rounds: PositiveInt = Field(default=2, description='fits, the first one (round 0) included')
    max_labels: PositiveInt = Field(default=200, description='labels bought in all rounds, isolated atoms and failures included')
    initial_labels: int = Field(
        default=40, ge=2, description='training labels of round 0; isolated atoms and the test set are bought besides'
    )
    labels_per_round: PositiveInt = Field(default=20, description='labels of each later round')
    test_labels: PositiveInt = Field(
        default=24, description='labels of the frozen test set, made in round 0 for every composition and config_type'
    )
    test_md_labels: NonNegativeInt = Field(
        default=12,
        description='labels of its second part: frames of MD from test lineages at each of explore.temperatures, bought from '
        'round 1 on; 0: none, as in a one-shot run',
    )
    force_rmse_target: PositiveFloat | None = Field(
        default=None, description='eV/Å, error on the frozen test set below which a run may call itself converged'
    )
    patience: PositiveInt = Field(default=3, description='rounds without progress on the frozen test set before it stops')

    @property
    def all_test_labels(self) -> int:
        """Labels of both parts of the test set; a run of one round has no second part."""
        return self.test_labels + (self.test_md_labels if self.max_rounds > 1 else 0)
