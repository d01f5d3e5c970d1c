"""`GenerateCalculation`: candidate structures of a target system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder

from aiida_mlip_autopipe.calculations.bases import BASE_TYPES, write_bases
from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData


class GenerateCalculation(WorkerCalculation):
    """Bases, then their distortions, then defects, as the sections of the settings say."""

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
        spec.input_namespace(
            'bases',
            dynamic=True,
            required=False,
            valid_type=BASE_TYPES,
            help='Structures (Å) that the sections `structures` and `files` of the settings name, see `calculations.bases`.',
        )
        spec.output('frames', valid_type=FramesData, required=False, help='Candidate structures, each with its lineage.')
        spec.exit_code(420, 'ERROR_NO_STRUCTURES', message='The settings gave no structure at all.')

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the bases beside the inputs of every stage; their content is in the nodes already."""
        info = super().prepare_for_submission(folder)
        written = write_bases(self.inputs.get('bases', {}), Path(folder.abspath))
        info.provenance_exclude_list = [*info.provenance_exclude_list, *written]
        return info
