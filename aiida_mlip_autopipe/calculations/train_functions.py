"""Calcfunctions that judge a fitted potential by what LAMMPS makes of it."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import calcfunction

from aiida_mlip_autopipe.science.potential_checks import failed_checks


@calcfunction
def summarize_training(fit: orm.Dict, train: orm.Dict, test: orm.Dict) -> orm.Dict:
    """Return the report of a training: the trainer's own, errors on both sets, grades, and the checks that failed.

    :param fit: report of the trainer, with its `training_errors`.
    :param train: report of the evaluation of the training frames.
    :param test: report of the evaluation of the frozen test set.
    """
    content: dict[str, Any] = {
        'fit': fit.get_dict(),
        'train_errors': train['errors'],
        'test_errors': test['errors'],
        'gamma_train_max': train['gamma_max'],
        'gamma_max': test['gamma_max'],
        'failed_checks': failed_checks(fit['training_errors'], train['errors'], train['gamma_max']),
    }
    return orm.Dict(content)
