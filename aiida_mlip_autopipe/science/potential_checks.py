"""Checks that a fitted potential must pass before anyone may use it."""

from __future__ import annotations

from collections.abc import Mapping

GAMMA_TOLERANCE = 1.01
"""Largest grade of a training atom: the active set is chosen among the training atoms."""

AGREEMENT = 1e-3
"""Relative difference allowed between the trainer's errors and those of the potential that LAMMPS runs."""


def failed_checks(
    trainer: Mapping[str, float | None], lammps: Mapping[str, float | None], gamma_train_max: float | None
) -> list[str]:
    """Return one sentence for each check that failed.

    The trainer computes its training errors from its own model, LAMMPS from the files: the two agree only when the files are
    right (order of elements, coefficients, units, sign of the stress).

    :param trainer: `energy_rmse` (eV/atom), `force_rmse` (eV/Å), `stress_rmse` (eV/Å³) as the trainer has them.
    :param lammps: the same as LAMMPS has them.
    :param gamma_train_max: largest grade on the training atoms; None when the potential has no active set.
    """
    failed = []
    for name in ('energy_rmse', 'force_rmse', 'stress_rmse'):
        mine, theirs = trainer.get(name), lammps.get(name)
        if mine is not None and theirs is not None and not abs(mine - theirs) <= AGREEMENT * max(abs(mine), 1e-6):  # NaN fails
            failed.append(f'{name} is {mine:.6g} in the trainer and {theirs:.6g} in LAMMPS')
    if gamma_train_max is not None and not 0 < gamma_train_max <= GAMMA_TOLERANCE:
        failed.append(f'the grade on the training atoms reaches {gamma_train_max:.4g}, it must lie in (0, {GAMMA_TOLERANCE}]')
    return failed
