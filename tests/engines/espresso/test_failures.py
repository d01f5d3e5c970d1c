"""Words of `pw.x` and aiida-quantumespresso: each that its processes know has a place, and unknown ones are kept."""

from __future__ import annotations

import pytest
from aiida_quantumespresso.calculations.pw import PwCalculation
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.engines.espresso.batch import RunStatus
from aiida_mlip_autopipe.engines.espresso.failures import LABELS, OF_STATUS, failure_of


def test_every_label_is_one_of_aiida_quantumespresso_and_has_one_reason() -> None:
    codes = {**PwCalculation.spec().exit_codes, **PwBaseWorkChain.spec().exit_codes}
    known = {name.removeprefix('ERROR_').lower() for name in codes}
    ours = [label for labels in LABELS.values() for label in labels]
    assert set(ours) <= known
    assert len(ours) == len(set(ours))


@pytest.mark.parametrize(
    ('label', 'failure'),
    [
        ('ERROR_ELECTRONIC_CONVERGENCE_NOT_REACHED', FrameFailure(Reason.SCF_NOT_CONVERGED)),
        ('WARNING_ELECTRONIC_CONVERGENCE_NOT_REACHED', FrameFailure(Reason.SCF_NOT_CONVERGED)),
        ('ERROR_OUT_OF_WALLTIME', FrameFailure(Reason.OUT_OF_TIME, 'out_of_walltime')),
        ('ERROR_COMPUTING_CHOLESKY', FrameFailure(Reason.DIAGONALIZATION, 'computing_cholesky')),
        ('output_xml_missing', FrameFailure(Reason.OUTPUT_INCOMPLETE, 'output_xml_missing')),
        ('ERROR_CHARGE_IS_WRONG', FrameFailure(Reason.OTHER, 'charge_is_wrong')),
        ('999', FrameFailure(Reason.OTHER, '999')),
    ],
)
def test_known_answers(label: str, failure: FrameFailure) -> None:
    assert failure_of(label) == failure


def test_every_run_that_was_started_and_left_no_result_has_a_reason() -> None:
    assert set(OF_STATUS) == set(RunStatus) - {RunStatus.NOT_STARTED}
