"""What the evaluation of the whole training set says about a potential: errors as the trainer has them, grades near 1."""

from __future__ import annotations

from collections.abc import Mapping

from aiida_mlip_autopipe.science.checks.finding import Finding

GAMMA_TOLERANCE = 1.01
"""Largest grade of a training atom: the active set is chosen among the training atoms."""

AGREEMENT = 1e-3
"""Relative difference allowed between the trainer's errors and those of the potential that LAMMPS runs."""

GRADE = 'grade_training'
FLOOR = 1e-6
"""Errors below this, in the unit of each, are compared as if they were this large."""


def training_findings(
    trainer: Mapping[str, float | None],
    lammps: Mapping[str, float | None],
    gamma_train_max: float | None,
    *,
    agreement: float = AGREEMENT,
    gamma_limit: float = GAMMA_TOLERANCE,
) -> list[Finding]:
    """Return the findings on the training errors and on the grade of the training atoms.

    The trainer computes its training errors from its own model, LAMMPS from the files: the two agree only when the files are
    right (order of elements, coefficients, units, sign of the stress).

    :param trainer: `energy_rmse` (eV/atom), `force_rmse` (eV/Å), `stress_rmse` (eV/Å³) as the trainer has them.
    :param lammps: the same as LAMMPS has them.
    :param gamma_train_max: largest grade on the training atoms; None when the potential has no active set.
    :param agreement: relative difference of the errors that is allowed.
    :param gamma_limit: largest grade that is allowed; a largest grade of 0 means that the active set does not work at all.
    """
    findings = []
    for name in ('energy_rmse', 'force_rmse', 'stress_rmse'):
        mine, theirs = trainer.get(name), lammps.get(name)
        if mine is not None and theirs is not None:
            difference = abs(mine - theirs) / max(abs(mine), FLOOR)
            message = f'{name} is {mine:.6g} in the trainer and {theirs:.6g} in LAMMPS'
            findings.append(Finding.at_most(name, difference, agreement, '', message))
    findings.append(_grade_finding(gamma_train_max, gamma_limit))
    return findings


def _grade_finding(gamma: float | None, limit: float) -> Finding:
    if gamma is None:
        return Finding.not_made(GRADE, 'the potential has no active set, so there is no grade')
    message = f'the grade on the training atoms reaches {gamma:.4g}, it must lie in (0, {limit:g}]'
    if gamma <= 0:
        return Finding(GRADE, False, gamma, limit, '', message)
    return Finding.at_most(GRADE, gamma, limit, '', message)
