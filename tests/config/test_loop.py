"""`ActiveLearningConfig`: bounds of budget, rounds and targets."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipe.config.loop import ActiveLearningConfig
from tests.config.settings import config_with, mistakes_in


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('max_rounds', 0, 'greater than 0 (fits'),
        ('max_labels', 0, 'greater than 0 (labels bought'),
        ('initial_labels', 1, 'greater than or equal to 2 (training labels of round 0'),
        ('labels_per_round', 0, 'greater than 0 (labels of each later round;'),
        ('test_labels', 0, 'greater than 0 (labels of the frozen test set'),
        ('test_md_labels', -1, 'greater than or equal to 0 (labels of its second part'),
        ('force_rmse_target', 0, 'greater than 0 (eV/Å'),
        ('patience', 0, 'greater than 0 (rounds without progress'),
        ('max_rounds', 1.5, 'a valid integer'),
    ],
)
def test_out_of_bounds(field: str, value: float, said: str) -> None:
    (line,) = mistakes_in({f'loop.{field}': value})
    assert line.startswith(f'loop.{field}: got {value!r}; input should be {said}')


def test_no_target_by_default() -> None:
    assert ActiveLearningConfig().force_rmse_target is None
    assert config_with({'loop.force_rmse_target': 0.05}).loop.force_rmse_target == 0.05


def test_defaults_fit_together() -> None:
    loop = ActiveLearningConfig()
    assert loop.all_test_labels + loop.initial_labels + (loop.max_rounds - 1) * loop.labels_per_round <= loop.max_labels


def test_a_run_of_one_round_has_no_md_part() -> None:
    labels = {'test_labels': 20, 'test_md_labels': 9}
    assert ActiveLearningConfig(**labels, max_rounds=1).all_test_labels == 20
    assert ActiveLearningConfig(**labels, max_rounds=2).all_test_labels == 29


def test_the_default_test_set_gives_an_interval_worth_having() -> None:
    """Of 24 frames it is two thirds of the error, see docs/testset.md; below 20 the report calls it a guess."""
    assert ActiveLearningConfig().test_labels == 24
