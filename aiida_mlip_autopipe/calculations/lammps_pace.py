"""`LammpsPaceCalculation`: MD with an ACE potential in a LAMMPS program that watches the grade by itself.

`lammps.raw` of aiida-lammps is no base for it: that runs one script once, and the script is an input node. Here the text follows
from the inputs, and each start is a run of LAMMPS of its own in one job, so that one that explodes leaves the others alone. Its
parser, besides, looks for the word ERROR in the standard output, which what ACE throws does not hold. The code may be the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo, CodeRunMode
from aiida.common.folders import Folder
from aiida.engine import CalcJob
from ase import Atoms

from aiida_mlip_autopipe.calculations.spec import BandedCalcJobSpec, set_job_defaults, settings_validator
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace.explorer import LammpsPace
from aiida_mlip_autopipe.engines.ace.files import GRADE_STYLE
from aiida_mlip_autopipe.engines.ace.md_input import PaceMd, RunFiles, has_grade, in_folder
from aiida_mlip_autopipe.engines.lammps.data import data_text
from aiida_mlip_autopipe.formats.files import POTENTIAL
from aiida_mlip_autopipe.science.md.records import velocity_seeds


class LammpsPaceCalculation(CalcJob):
    """One trajectory from each start, each a run of LAMMPS, one after the other, at one temperature and pressure."""

    _spec_class = BandedCalcJobSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs and exit codes."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, validator=validate_potential, help='Potential with an active set.')
        spec.input('starts', valid_type=FramesData, help='Start structures (Å).')
        spec.input('temperature', valid_type=orm.Float, validator=validate_temperature, help='Temperature of the thermostat, K.')
        spec.input('pressure', valid_type=orm.Float, required=False, help='Pressure, GPa; that of the settings when missing.')
        spec.input('seed', valid_type=orm.Int, help='Seed of the velocities, dimensionless.')
        spec.input('round', valid_type=orm.Int, help='Round of the loop that the candidates belong to, dimensionless.')
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=settings_validator(LammpsPace),
            help='Exploration settings, as `LammpsPace`: timestep in fs, pressure in GPa.',
        )
        spec.inputs.validator = validate_elements
        spec.inputs['code'].required = True
        set_job_defaults(spec, parser='mlip_autopipe.lammps_pace', input_file=RunFiles(0).input, output_file=RunFiles(0).output)
        spec.output('candidates', valid_type=FramesData, required=False, help='Frames above `gamma_select` (Å).')
        spec.output('report', valid_type=orm.Dict, required=False, help='One entry for each trajectory.')
        spec.output(
            'trajectories',
            valid_type=orm.ArrayData,
            required=False,
            help='For each start i: `step_i`, `gamma_max_i`, `temperature_i` (K), `energy_i` (eV), `pressure_i` (eV/Å³).',
        )
        spec.output('candidate_grades', valid_type=orm.ArrayData, required=False, help='`gamma` of each atom of the candidates.')
        spec.output('uncut', valid_type=FramesData, required=False, help='Candidates too large for `max_atoms` (Å).')
        spec.output(
            'restarts',
            valid_type=orm.FolderData,
            required=False,
            help='Restart file of each start, of the end or the last one written.',
        )
        spec.exit_code(310, 'ERROR_OUTPUT_MISSING', message='LAMMPS left no output: {stderr}')
        spec.exit_code(320, 'ERROR_OUTPUT_UNREADABLE', message='An output cannot be read: {cause}')
        spec.exit_code(420, 'ERROR_NO_TRAJECTORY', message='None of {n_starts} trajectories could be started: {reasons}')
        spec.exit_code(430, 'ERROR_PAIR_STYLE_MISSING', message='LAMMPS has no pair style {style}: {remedy}')
        spec.exit_code(440, 'ERROR_POTENTIAL_REFUSED', message='LAMMPS refused the potential: {cause}')

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write potential, start structures and inputs, and say what comes back."""
        potential: PotentialData = self.inputs.potential
        written = self._write_potential(folder, potential)
        runs = list(self._runs())
        for files, start, md in runs:
            for name, text in ((files.data, data_text(start, potential.elements)), (files.input, md.text(files))):
                with folder.open(name, 'w', encoding='utf-8') as handle:
                    handle.write(text)
        info = CalcInfo()
        info.codes_info = [self._code_info(files) for files, _, _ in runs]
        info.codes_run_mode = CodeRunMode.SERIAL
        info.retrieve_list = [files.output for files, _, _ in runs]
        info.retrieve_temporary_list = [
            name for files, _, _ in runs for name in (files.dump, files.restart, (files.rolling, '.', 0))
        ]
        info.provenance_exclude_list = [*written, *(files.data for files, _, _ in runs)]
        return info

    def _runs(self) -> Iterator[tuple[RunFiles, Atoms, PaceMd]]:
        config = LammpsPace.model_validate(self.inputs.settings.get_dict())
        potential: PotentialData = self.inputs.potential
        lines = in_folder(potential.record.grade_lines, potential.base.repository.list_object_names(), POTENTIAL)
        pressure = self.inputs.pressure.value if 'pressure' in self.inputs else None
        starts = self.inputs.starts.frames
        seeds = velocity_seeds(self.inputs.seed.value, self.inputs.round.value, len(starts))
        for index, (start, seed) in enumerate(zip(starts, seeds, strict=True)):
            conditions = config.conditions(self.inputs.temperature.value, pressure, seed)
            yield RunFiles(index), start, PaceMd(tuple(potential.elements), tuple(lines), conditions)

    def _code_info(self, files: RunFiles) -> CodeInfo:
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = files.arguments
        code.stdout_name = files.output
        code.join_files = True
        return code

    @staticmethod
    def _write_potential(folder: Folder, node: PotentialData) -> list[str]:
        with tempfile.TemporaryDirectory() as scratch:
            written = node.write(Path(scratch))
            for path in written:
                folder.get_subfolder(POTENTIAL, create=True).insert_path(str(path), path.name)
        return [f'{POTENTIAL}/{path.name}' for path in written]


def validate_potential(value: PotentialData | None, _: Any) -> str | None:
    """Return what is wrong with the potential, or None."""
    if value is None or has_grade(value.record.grade_lines):
        return None
    return (
        f'potential: its grade lines {list(value.record.grade_lines)} load no pair style {GRADE_STYLE}; '
        'the explorer of such a potential is mlip_autopipe.lammps_md'
    )


def validate_temperature(value: orm.Float | None, _: Any) -> str | None:
    """Return what is wrong with the temperature, or None."""
    if value is None or value.value > 0:
        return None
    return f'temperature: got {value.value:g} K; must be above 0'


def validate_elements(inputs: Any, _: Any) -> str | None:
    """Return which start structures cannot be run with the potential, or None."""
    if 'starts' not in inputs or 'potential' not in inputs:
        return None
    starts, elements = inputs['starts'].frames, inputs['potential'].elements
    if not len(starts):
        return 'starts: there is no start structure'
    if unknown := sorted(set(starts.elements) - set(elements)):
        return f'starts: have the elements {unknown}, the potential knows {elements}'
    for index, start in enumerate(starts):
        if len(start) < 2 or not start.pbc.all():
            return f'starts: number {index} has {len(start)} atoms, pbc {start.pbc.tolist()}; MD needs two atoms, periodic'
    return None
