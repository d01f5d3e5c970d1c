"""What went wrong with a run of `pw.x`, in the words of its batch job and of aiida-quantumespresso, as reasons."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.engines.espresso.batch import RunStatus

LABELS: Final[Mapping[Reason, tuple[str, ...]]] = MappingProxyType(
    {
        Reason.SCF_NOT_CONVERGED: ('electronic_convergence_not_reached',),
        Reason.DIAGONALIZATION: (
            'computing_cholesky',
            'diagonalization_too_many_bands_not_converged',
            's_matrix_not_positive_definite',
            'zhegvd_failed',
            'qr_failed',
            'eigenvector_convergence',
            'broyden_factorization',
        ),
        Reason.OUT_OF_TIME: ('out_of_walltime', 'out_of_walltime_interrupted', 'scheduler_out_of_walltime'),
        Reason.STOPPED_EARLY: ('output_stdout_incomplete', 'output_files'),
        Reason.OUTPUT_INCOMPLETE: ('output_stdout_missing', 'output_xml_missing'),
        Reason.OUTPUT_UNREADABLE: (
            'output_stdout_read',
            'output_stdout_parse',
            'output_xml_read',
            'output_xml_parse',
            'output_xml_format',
            'output_xml_multiple',
        ),
        Reason.MACHINE_FAILED: ('scheduler_node_failure', 'scheduler_out_of_memory'),
        Reason.JOB_LOST: ('sub_process_killed', 'sub_process_excepted', 'no_retrieved_folder', 'no_retrieved_temporary_folder'),
    }
)
"""For each reason the labels of exit codes that mean it, without their prefix."""

_REASONS: Final = {label: reason for reason, labels in LABELS.items() for label in labels}

OF_STATUS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        RunStatus.ENDED: Reason.OUTPUT_INCOMPLETE,
        RunStatus.OUT_OF_TIME: Reason.OUT_OF_TIME,
        RunStatus.NO_PROGRAM: Reason.PROGRAM_MISSING,
        RunStatus.FAILED: Reason.MACHINE_FAILED,
    }
)
"""Why a run of a batch job that left no result has none."""


def failure_of(label: str) -> FrameFailure:
    """Return the failure that an exit code of aiida-quantumespresso stands for.

    :param label: such as `ERROR_OUT_OF_WALLTIME`; the detail is this label in lower case, where it says more than the reason.
    """
    word = label.removeprefix('ERROR_').removeprefix('WARNING_').lower()
    reason = _REASONS.get(word, Reason.OTHER)
    return FrameFailure(reason, '' if reason is Reason.SCF_NOT_CONVERGED else word)
