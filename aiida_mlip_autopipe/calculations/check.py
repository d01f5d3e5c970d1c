"""`CheckCalculation`: the self-checks of a potential, run by LAMMPS on its own training frames."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData


class CheckCalculation(WorkerCalculation):
    """Loads, agrees with the trainer, stress is a derivative, close atoms repel each other, constant energy stays constant."""

    STAGE = 'check'
    PARSER = 'mlip_autopipe.check'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='The potential to check.')
        spec.input('frames', valid_type=FramesData, help='The frames that it was trained on (eV, eV/Å, eV/Å³).')
        spec.input('seed', valid_type=orm.Int, help='Seed of the velocities, dimensionless.')
        spec.inputs['settings'].help = 'Limits and extent of the checks, as `ChecksConfig`: K, fs, meV/atom, eV/Å, eV/Å³.'
        spec.output(
            'curves',
            valid_type=orm.ArrayData,
            required=False,
            help='`wall_A_B_distance` (Å) and `wall_A_B_energy` (eV) of each pair; `nve_time` (fs), `nve_energy` (eV).',
        )
        spec.exit_code(510, 'ERROR_CHECKS_FAILED', message='The potential did not pass its checks: {reasons}')
