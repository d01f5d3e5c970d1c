"""What the whole training set says about a potential: trainer and LAMMPS agree, and the grade is 1 at most."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipe.science.checks.training import AGREEMENT, GAMMA_TOLERANCE, training_findings

ERRORS = {'energy_rmse': 0.002, 'force_rmse': 0.05, 'stress_rmse': 0.001}


def failed(trainer: dict[str, float | None], lammps: dict[str, float | None], gamma: float | None, **limits: float) -> list[str]:
    return [found.message for found in training_findings(trainer, lammps, gamma, **limits) if found.passed is False]


def test_all_pass_and_have_their_number() -> None:
    findings = training_findings(ERRORS, ERRORS, 1.0)
    assert [finding.check for finding in findings] == [*ERRORS, 'grade_training']
    assert [(finding.passed, finding.value) for finding in findings] == [(True, 0.0)] * 3 + [(True, 1.0)]


@pytest.mark.parametrize('name', ERRORS)
def test_disagreement_names_quantity_and_values(name: str) -> None:
    lammps = {**ERRORS, name: 2 * ERRORS[name]}
    assert failed(ERRORS, lammps, 1.0) == [f'{name} is {ERRORS[name]:.6g} in the trainer and {2 * ERRORS[name]:.6g} in LAMMPS']


def test_every_failed_check_is_told() -> None:
    assert len(failed(ERRORS, dict.fromkeys(ERRORS, 1.0), 5.0)) == 4


@pytest.mark.parametrize(('factor', 'n_failed'), [(1 + 0.9 * AGREEMENT, 0), (1 + 1.1 * AGREEMENT, 1), (1 - 1.1 * AGREEMENT, 1)])
def test_tolerance_is_relative(factor: float, n_failed: int) -> None:
    assert len(failed(ERRORS, {**ERRORS, 'force_rmse': factor * ERRORS['force_rmse']}, None)) == n_failed


def test_limits_can_be_chosen() -> None:
    assert failed(ERRORS, {**ERRORS, 'force_rmse': 0.051}, 1.05, agreement=0.1, gamma_limit=1.1) == []


def test_errors_of_zero_may_differ_by_rounding() -> None:
    zero = dict.fromkeys(ERRORS, 0.0)
    assert failed(zero, dict.fromkeys(ERRORS, 1e-12), None) == []
    assert len(failed(zero, dict.fromkeys(ERRORS, 1e-6), None)) == 3


@pytest.mark.parametrize(
    ('trainer', 'lammps'), [({}, ERRORS), (ERRORS, {}), ({**ERRORS, 'stress_rmse': None}, {**ERRORS, 'stress_rmse': 9})]
)
def test_what_one_side_does_not_know_is_not_compared(trainer: dict[str, float], lammps: dict[str, float]) -> None:
    assert failed(trainer, lammps, None) == []


@pytest.mark.parametrize(('gamma', 'passes'), [(1.0, True), (GAMMA_TOLERANCE, True), (1.02, False), (0.0, False), (-1.0, False)])
def test_grade_on_the_training_atoms(gamma: float, passes: bool) -> None:
    found = failed(ERRORS, ERRORS, gamma)
    assert (found == []) is passes
    if not passes:
        assert found == [f'the grade on the training atoms reaches {gamma:.4g}, it must lie in (0, {GAMMA_TOLERANCE}]']


def test_a_potential_without_active_set_says_that_there_was_nothing_to_check() -> None:
    assert training_findings(ERRORS, ERRORS, None)[-1].passed is None


@pytest.mark.parametrize('name', ERRORS)
def test_not_a_number_fails(name: str) -> None:
    assert failed(ERRORS, {**ERRORS, name: float('nan')}, None) != []
    assert failed({**ERRORS, name: float('nan')}, ERRORS, None) != []


def test_grade_that_is_not_a_number_fails() -> None:
    assert failed(ERRORS, ERRORS, float('nan')) != []
