"""`GenerateCalculation`: candidate structures of a target system."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData


class GenerateCalculation(WorkerCalculation):
    """SQS by icet, then strain, rattle and vacancies."""

    STAGE = 'generate'
    PARSER = 'mlip_autopipe.generate'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input(
            'system', valid_type=orm.Dict, help='Target system: elements, prototype, lattice parameters (Å), compositions.'
        )
        spec.input('seed', valid_type=orm.Int, help='Seed of everything random, dimensionless.')
        spec.inputs['settings'].help = 'Generator settings, as `GeneratorConfig`: strains dimensionless, displacements in Å.'
        spec.output('frames', valid_type=FramesData, required=False, help='Candidate structures, each with its lineage.')
        spec.exit_code(420, 'ERROR_NO_STRUCTURES', message='The settings gave no structure at all.')
