"""`SurrogateCalculation`: which candidates are worth a label, and why the others are not."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData


class SurrogateCalculation(WorkerCalculation):
    """Geometric sanity, duplicates, then the most different ones within the budget."""

    STAGE = 'select'
    PARSER = 'mlip_autopipe.surrogate'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input('frames', valid_type=FramesData, help='Candidates; positions and cells in Å.')
        spec.input(
            'known', valid_type=FramesData, required=False, help='Structures that are labelled already (Å): none is bought twice.'
        )
        spec.input('budget', valid_type=orm.Int, help='Largest number of frames to select, dimensionless.')
        spec.input('seed', valid_type=orm.Int, help='Seed of everything random, dimensionless.')
        spec.inputs['settings'].help = 'Selection settings, as `SurrogateConfig`: cutoff in Å, angles in degrees.'
        spec.output(
            'selection',
            valid_type=orm.ArrayData,
            required=False,
            help='`indices`: selected frames, in the order of their choice; `reasons`: why each frame was rejected, or empty.',
        )
        spec.exit_code(420, 'ERROR_NOTHING_SELECTED', message='None of {n_frames} candidates was selected: {reasons}')
