"""`EvaluateCalculation`: what a potential predicts for a set of structures, and its grade for every atom."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData


class EvaluateCalculation(WorkerCalculation):
    """One LAMMPS process for all frames; errors against the labels where there are labels."""

    STAGE = 'evaluate'
    PARSER = 'mlip_autopipe.evaluate'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='The potential to evaluate.')
        spec.input('frames', valid_type=FramesData, help='Structures (Å); labels are compared where present.')
        spec.inputs['settings'].required = False
        spec.inputs['settings'].help = (
            '`spread`: whether the posterior of the potential gives the spread of each prediction, default true; '
            '`seed` of the resampling behind the intervals of the errors, default 0.'
        )
        spec.inputs['settings'].default = lambda: orm.Dict({})
        spec.output(
            'predictions',
            valid_type=orm.ArrayData,
            required=False,
            help=(
                "`energy` (eV), `forces` (eV/Å), `stress` (eV/Å³, ASE's order), `gamma` of each atom; with a posterior "
                '`energy_spread` (eV) of each frame and `force_spread` (eV/Å) of each atom; rows as in frames.'
            ),
        )
