"""`LammpsMdCalculation`: MD that watches the extrapolation grade and stops where the potential does not know."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder

from aiida_mlip_autopipe.calculations.spec import plugin_validator
from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats.restarts import RESTARTS
from aiida_mlip_autopipe.science.explorer import Explorer


def validate_temperature(value: orm.Float | None, _: Any) -> str | None:
    """Return what is wrong with the temperature of a thermostat, or None."""
    if value is None or value.value > 0:
        return None
    return f'temperature: got {value.value:g} K; must be more than 0'


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
        spec.input('temperature', valid_type=orm.Float, validator=validate_temperature, help='Temperature of the thermostat, K.')
        spec.input(
            'pressure',
            valid_type=orm.Float,
            required=False,
            help='Constant pressure, GPa, in place of the one in the settings.',
        )
        spec.input('seed', valid_type=orm.Int, help='Seed of the velocities, dimensionless.')
        spec.input('round', valid_type=orm.Int, help='Round of the loop that the candidates belong to, dimensionless.')
        spec.inputs['settings'].help = 'Exploration settings, as `Explorer`: timestep in fs, pressure in GPa.'
        spec.inputs['settings'].validator = plugin_validator(Explorer)
        spec.output('candidates', valid_type=FramesData, required=False, help='Frames above `gamma_select` (Å), of DFT size.')
        spec.output(
            'candidate_grades',
            valid_type=orm.ArrayData,
            required=False,
            help='`gamma`: extrapolation grade of each atom of the candidates, in their order; in a cut cell, that of the MD.',
        )
        spec.output(
            'uncut', valid_type=FramesData, required=False, help='Frames above `gamma_select` (Å) too large and not to be cut.'
        )
        spec.output(
            'trajectories',
            valid_type=orm.ArrayData,
            required=False,
            help='For each start i: `step_i`, `gamma_max_i`, `temperature_i` (K), `energy_i` (eV), `pressure_i` (eV/Å³), '
            '`bond_i` (shortest bond in sums of covalent radii).',
        )
        spec.output(
            'restarts',
            valid_type=orm.FolderData,
            required=False,
            help='A restart file of LAMMPS for each start, of the end of the run or the last one that was written.',
        )
        spec.exit_code(420, 'ERROR_NO_TRAJECTORY', message='None of {n_starts} trajectories could be started: {reasons}')

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Take the restart files beside what every stage gives back."""
        info = super().prepare_for_submission(folder)
        info.retrieve_temporary_list.append(RESTARTS)
        return info
