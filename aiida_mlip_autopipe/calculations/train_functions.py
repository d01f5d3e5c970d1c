"""Calcfunctions around a training: the isolated atoms among labelled frames, and the judgement of a fitted potential."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM
from aiida_mlip_autopipe.common.reports import CheckEntry, TrainReport
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.checks.training import training_findings
from aiida_mlip_autopipe.science.trainer import Trainer


@calcfunction
def separate_references(labelled: FramesData) -> dict[str, FramesData]:
    """Return the isolated atoms as `references`, and everything else as `rest`; an empty part is left out."""
    frames = labelled.frames
    is_reference = frames.config_type == ISOLATED_ATOM
    parts = {'references': np.flatnonzero(is_reference), 'rest': np.flatnonzero(~is_reference)}
    return {name: FramesData(frames.take(rows)) for name, rows in parts.items() if len(rows)}


@calcfunction
def summarize_training(
    settings: orm.Dict,
    fit: orm.Dict,
    check: orm.Dict,
    train: orm.Dict | None = None,
    test: orm.Dict | None = None,
) -> orm.Dict:
    """Return the report of a training: the trainer's own, errors on both sets, grades, and each check with its number.

    :param settings: those of the trainer.
    :param fit: report of the trainer, with its `training_errors`.
    :param check: report of the self-checks.
    :param train: report of the evaluation of the training frames; None where it failed.
    :param test: report of the evaluation of the frozen test set; None where it failed.
    """
    own: dict[str, Any] = fit.get_dict()
    checks: list[CheckEntry] = list(check['checks'])
    if train is not None:
        limits = Trainer.of(settings.get_dict()).checks
        findings = training_findings(
            own.get('training_errors', {}),
            train['errors'],
            train['gamma_max'],
            agreement=limits.error_agreement,
            gamma_limit=limits.gamma_max,
        )
        checks += [finding.to_dict() for finding in findings]
    content: TrainReport = {
        'fit': own,
        'train_errors': None if train is None else train['errors'],
        'test_errors': None if test is None else test['errors'],
        'test_groups': None if test is None else test.get('groups'),
        'test_caution': '' if test is None else test.get('caution', ''),
        'gamma_train_max': None if train is None else train['gamma_max'],
        'gamma_max': None if test is None else test['gamma_max'],
        'checks': checks,
        'failed_checks': [entry['message'] for entry in checks if entry['passed'] is False],
    }
    return orm.Dict(content)
