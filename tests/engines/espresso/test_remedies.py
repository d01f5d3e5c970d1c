"""The ladder of remedies: what comes next, and what it changes in the input."""

from __future__ import annotations

from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from aiida_mlip_autopipe.common.reasons import Reason
from aiida_mlip_autopipe.engines.espresso.remedies import FINAL, MORE_STEPS, REPEAT, is_open, ladder, next_remedy

PARAMETERS: dict[str, Any] = {
    'CONTROL': {'calculation': 'scf'},
    'SYSTEM': {'degauss': 0.02, 'ecutwfc': 30},
    'ELECTRONS': {'mixing_beta': 0.7, 'electron_maxstep': 80, 'conv_thr': 1e-9},
}
BULK = {'mixing_beta': 0.7, 'has_vacuum': False}


def all_remedies(reason: Reason, **facts: Any) -> list[str]:
    tried: list[str] = []
    while remedy := next_remedy(reason, tried, **{**BULK, **facts}):
        tried.append(remedy.name)
    return tried


def test_what_did_not_converge_climbs_the_whole_ladder() -> None:
    assert all_remedies(Reason.SCF_NOT_CONVERGED) == [
        'repeat_with_more_steps',
        'mixing_beta_0.4',
        'mixing_beta_0.2',
        'wider_smearing_first',
        'diagonalization_paro',
        'diagonalization_cg',
    ]


@pytest.mark.parametrize('reason', sorted(set(Reason) - FINAL - {Reason.SCF_NOT_CONVERGED}))
def test_other_failures_are_repeated_once(reason: Reason) -> None:
    assert all_remedies(reason) == [REPEAT.name]


@pytest.mark.parametrize('reason', [Reason.FORCE_CAP, Reason.PROGRAM_MISSING])
def test_what_no_repetition_can_mend(reason: Reason) -> None:
    assert reason in FINAL
    assert all_remedies(reason) == []


def test_a_repetition_that_does_not_converge_goes_on_with_the_ladder() -> None:
    remedy = next_remedy(Reason.SCF_NOT_CONVERGED, [REPEAT.name], **BULK)
    assert remedy is not None
    assert remedy.name == 'mixing_beta_0.4'


@pytest.mark.parametrize(('beta', 'expected'), [(0.7, [0.4, 0.2]), (0.3, [0.2]), (0.2, [0.1])])
def test_mixing_only_gets_gentler(beta: float, expected: list[float]) -> None:
    mixing = [r.electrons['mixing_beta'] for r in ladder(beta, False) if r.name.startswith('mixing')]
    assert mixing == expected


def test_screened_mixing_is_for_cells_with_vacuum() -> None:
    assert all('mixing_mode' not in remedy.electrons for remedy in ladder(0.7, False))
    assert {r.electrons['mixing_mode'] for r in ladder(0.7, True) if r is not REPEAT} == {'local-TF'}


def test_a_remedy_changes_the_numerics_and_never_the_theory() -> None:
    before = {name: dict(values) for name, values in PARAMETERS.items()}
    for remedy in ladder(0.7, True):
        changed = remedy.applied_to(PARAMETERS)
        assert changed['SYSTEM'] == PARAMETERS['SYSTEM']
        assert changed['ELECTRONS']['conv_thr'] == 1e-9
        assert changed['ELECTRONS']['electron_maxstep'] == MORE_STEPS * 100
    assert before == PARAMETERS


def test_wider_smearing_comes_first_and_its_density_starts_the_second_step() -> None:
    (remedy,) = [remedy for remedy in ladder(0.7, False) if remedy.has_first_step]
    first, second = (remedy.applied_to(PARAMETERS, is_first_step=step) for step in (True, False))
    assert (first['SYSTEM']['degauss'], 'startingpot' in first['ELECTRONS']) == (pytest.approx(0.06), False)
    assert (second['SYSTEM']['degauss'], second['ELECTRONS']['startingpot']) == (0.02, 'file')


class TestVacuum:
    def test_crystals_have_none(self) -> None:
        assert not is_open(bulk('Al', cubic=True))
        assert not is_open(bulk('Ti', 'hcp', a=2.95, c=4.68))

    def test_slab(self) -> None:
        assert is_open(fcc111('Al', size=(1, 1, 4), vacuum=6, periodic=True))
        assert not is_open(fcc111('Al', size=(1, 1, 4), vacuum=2, periodic=True))

    def test_atom_in_a_box(self) -> None:
        assert is_open(Atoms('Al', cell=[12, 12, 12], pbc=True))

    def test_vacuum_across_the_cell_boundary(self) -> None:
        slab = fcc111('Al', size=(1, 1, 4), vacuum=6, periodic=True)
        slab.positions += slab.cell[2] / 2
        slab.wrap()
        assert is_open(slab)
