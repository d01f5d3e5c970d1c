"""`ActiveLearningConfig`: rounds, budget and the conditions that end the loop."""

from __future__ import annotations

from typing import Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from aiida_mlip_autopipe.common.settings import Settings


class ActiveLearningConfig(Settings):
    """How many labels are bought, in how many rounds, and when it is enough."""

    max_rounds: PositiveInt = Field(default=10, description='fits, the first one (round 0) included')
    max_labels: PositiveInt = Field(default=200, description='labels bought in all rounds, isolated atoms and failures included')
    initial_labels: int = Field(
        default=40, ge=2, description='training labels of round 0; isolated atoms and the test set are bought besides'
    )
    labels_per_round: PositiveInt = Field(default=8, description='labels of each later round; small rounds cost little')
    test_labels: PositiveInt = Field(
        default=24, description='labels of the frozen test set, made in round 0 for every composition and config_type'
    )
    test_md_labels: NonNegativeInt = Field(
        default=12,
        description='labels of its second part: frames of MD from test lineages at each of explore.temperatures, bought from '
        'round 1 on; 0: none, as in a one-shot run',
    )
    force_rmse_target: PositiveFloat | None = Field(
        default=None,
        description='eV/Å, which the upper end of the interval of the force error on the frozen test set must not exceed; '
        'null: 5 % of the forces there, or twice the training error where that is more',
    )
    energy_rmse_target: PositiveFloat | None = Field(
        default=None,
        description='eV/atom, likewise of the energies; null: 5 % of their spread within a composition, '
        'or twice the training error',
    )
    acquisition_rmse_target: PositiveFloat | None = Field(
        default=None,
        description='eV/Å, largest force error of a potential on the labels that were bought because it did not know them, '
        'before the next one is trained on them; null: twice the force target',
    )
    max_share_above: float = Field(
        default=0.01, ge=0, lt=1, description='share of MD above explore.gamma_select of a converged potential, dimensionless'
    )
    patience: PositiveInt = Field(default=3, description='rounds without progress on the frozen test set before it stops')

    @model_validator(mode='after')
    def check_targets(self) -> Self:
        """Refuse a target on labels that are hard on purpose below that on the test set."""
        force, acquisition = self.force_rmse_target, self.acquisition_rmse_target
        if force is not None and acquisition is not None and acquisition < force:
            raise ValueError(
                f'acquisition_rmse_target: got {acquisition:g}; must be at least force_rmse_target ({force:g}): these labels are '
                'bought because the potential does not know them'
            )
        return self

    @property
    def buys_md_test(self) -> bool:
        """Whether there is a second part of the test set; a run of one round has none."""
        return self.max_rounds > 1 and self.test_md_labels > 0

    @property
    def all_test_labels(self) -> int:
        """Labels of both parts of the test set."""
        return self.test_labels + (self.test_md_labels if self.buys_md_test else 0)
