"""`LabelAseCalculation`: labels of many frames by an ASE calculator in one job."""

from __future__ import annotations

from typing import Any

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData


class LabelAseCalculation(WorkerCalculation):
    """For tests, for teacher models, and for a demo on a machine without Quantum ESPRESSO."""

    STAGE = 'label-ase'
    PARSER = 'mlip_autopipe.label_ase'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input('frames', valid_type=FramesData, help='Structures to label; positions and cells in Å.')
        spec.inputs['settings'].help = 'Labeller settings, as `AseLabeller`: force cap in eV/Å.'
        spec.output(
            'labelled', valid_type=FramesData, required=False, help='Frames with energy (eV), forces (eV/Å), stress (eV/Å³).'
        )
        spec.output(
            'quarantined',
            valid_type=FramesData,
            required=False,
            help='Frames without a usable label (Å), with their `reason`.',
        )
        spec.exit_code(
            420,
            'ERROR_FAILURE_RATE',
            message='{n_failed} of {n_frames} frames failed, more than the allowed rate of {limit:g}: {reasons}',
        )
