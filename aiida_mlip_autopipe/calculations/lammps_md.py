"""`LammpsMdCalculation`: MD that watches the extrapolation grade and stops where the potential does not know."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData


class LammpsMdCalculation(WorkerCalculation):
    """One trajectory from each start, one after the other, at one temperature and pressure."""

    STAGE = 'explore'
    PARSER = 'mlip_autopipe.lammps_md'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='Potential with an active set.')
        spec.input('starts', valid_type=FramesData, help='Start structures (Å), one trajectory each.')
        spec.input('temperature', valid_type=orm.Float, help='Temperature of the thermostat, K.')
        spec.input('seed', valid_type=orm.Int, help='Seed of the velocities, dimensionless.')
        spec.input('round', valid_type=orm.Int, help='Round of the loop that the candidates belong to, dimensionless.')
        spec.inputs['settings'].help = 'Exploration settings, as `InferenceConfig`: timestep in fs, pressure in GPa.'
        spec.output('candidates', valid_type=FramesData, required=False, help='Frames above `gamma_select` (Å).')
        spec.output(
            'trajectories',
            valid_type=orm.ArrayData,
            required=False,
            help='For each start i: `step_i`, `gamma_max_i`, `temperature_i` (K), `energy_i` (eV), `pressure_i` (eV/Å³).',
        )
        spec.exit_code(420, 'ERROR_NO_TRAJECTORY', message='None of {n_starts} trajectories could be started: {reasons}')
