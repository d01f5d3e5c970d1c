"""`PwBatchCalculation`: labels of many frames by Quantum ESPRESSO in one job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob
from aiida_pseudo.data.pseudo.upf import UpfData
from aiida_quantumespresso.calculations.pw import PwCalculation

from aiida_mlip_autopipe.calculations.pw_inputs import PwInputs, pw_inputs
from aiida_mlip_autopipe.calculations.spec import BandedCalcJobSpec, set_job_defaults, settings_validator
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.formats.frame_archive import FrameArchive

STAGE: Final = 'label-pw'
DEFAULT_WALLTIME: Final = 3600
"""s."""

MARGIN: Final = 0.05
"""Share of the walltime, and at least `MIN_MARGIN`, that is left for the end of the job."""
MIN_MARGIN: Final = 30.0
"""s."""


class PwBatchCalculation(CalcJob):
    """`mlip-worker` runs `pw.x` for the frames one after the other, several at a time where the allocation has room."""

    _spec_class = BandedCalcJobSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs and exit codes."""
        super().define(spec)
        spec.inputs['code'].required = True
        spec.input('pw_code', valid_type=orm.InstalledCode, help='Code of `pw.x`, on the computer of `code`.')
        spec.input('frames', valid_type=FramesData, help='Structures to label; positions and cells in Å.')
        spec.input(
            'indices', valid_type=orm.List, required=False, help='Frames to run, counted from 0; all of them when missing.'
        )
        spec.input_namespace('pseudos', valid_type=UpfData, dynamic=True, required=True, help='Pseudopotential of each element.')
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=settings_validator(DFTConfig),
            help='Labeller settings, as `DFTConfig`: cutoffs in Ry, force cap in eV/Å.',
        )
        spec.inputs.validator = validate_inputs
        set_job_defaults(spec, parser='mlip_autopipe.label_pw', input_file=files.SETTINGS, output_file=files.STDOUT)
        spec.inputs['metadata']['options']['max_wallclock_seconds'].default = DEFAULT_WALLTIME
        spec.output(
            'labelled', valid_type=FramesData, required=False, help='Frames with energy (eV), forces (eV/Å), stress (eV/Å³).'
        )
        spec.output(
            'report',
            valid_type=orm.Dict,
            required=False,
            help='Counts, reason of each failure, levels of theory; indices are those of `frames`.',
        )
        spec.exit_code(310, 'ERROR_OUTPUT_MISSING', message='The job left no result of any frame: {stderr}')
        spec.exit_code(410, 'ERROR_STAGE_FAILED', message='{message}')
        spec.exit_code(420, 'ERROR_ALL_FAILED', message='None of {n_frames} frames was labelled: {reasons}')
        spec.exit_code(
            520, 'ERROR_PARTLY_LABELLED', message='{n_labelled} of {n_frames} frames were labelled, the others not: {reasons}'
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write one input text for each frame, and what the worker has to know."""
        copies: dict[str, tuple[str, str, str]] = {}
        jobs = []
        with closing(FrameArchive(Path(folder.get_abs_path(pw_batch.INPUTS)), pw_batch.INPUT_SUFFIX)) as texts:
            for index, inputs in self._inputs():
                text, pseudos = PwCalculation._generate_pwcp_inputdata(
                    inputs.parameters, {}, self.inputs.pseudos, inputs.structure, inputs.kpoints
                )
                copies.update({target: (uuid, name, target) for uuid, name, target in pseudos})
                texts.add(index, text.encode())
                jobs.append({'index': index, 'cost': inputs.cost})
        with folder.open(files.SETTINGS, 'w', encoding='utf-8') as handle:
            json.dump({'jobs': jobs, **self._allocation()}, handle)
        return self._calc_info(list(copies.values()))

    def _inputs(self) -> Iterator[tuple[int, PwInputs]]:
        config = DFTConfig.model_validate(self.inputs.settings.get_dict())
        valence = {element: pseudo.z_valence for element, pseudo in self.inputs.pseudos.items()}
        frames = self.inputs.frames.frames
        indices = self.inputs.indices if 'indices' in self.inputs else range(len(frames))
        return ((index, pw_inputs(frames.atoms(index), config, valence)) for index in indices)

    def _allocation(self) -> dict[str, Any]:
        """Return the command of one run, how many run at a time, and for how long."""
        options = self.inputs.metadata.options
        concurrency = DFTConfig.model_validate(self.inputs.settings.get_dict()).runs_at_once
        code: orm.InstalledCode = self.inputs.pw_code
        resources = options.resources
        total = resources.get('num_machines', 1) * (
            resources.get('num_mpiprocs_per_machine') or code.computer.get_default_mpiprocs_per_machine() or 1
        )
        processes = max(total // concurrency, 1)
        launcher = (
            [part.format(tot_num_mpiprocs=processes) for part in code.computer.get_mpirun_command()] if processes > 1 else []
        )
        walltime = float(options.max_wallclock_seconds)
        return {
            'command': [*launcher, str(code.filepath_executable)],
            'concurrency': concurrency,
            'time_limit': walltime - max(MARGIN * walltime, MIN_MARGIN),
        }

    def _calc_info(self, pseudos: list[tuple[str, str, str]]) -> CalcInfo:
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = [STAGE]
        code.stdout_name = files.STDOUT
        code.stderr_name = files.STDERR
        info = CalcInfo()
        info.codes_info = [code]
        info.prepend_text = self.inputs.pw_code.prepend_text
        info.append_text = self.inputs.pw_code.append_text
        info.local_copy_list = pseudos
        info.retrieve_list = [files.REPORT, files.ERROR, files.STDOUT, files.STDERR, pw_batch.RESULTS]
        return info


def missing_pseudos(inputs: Any, _: Any) -> str | None:
    """Return for which elements of the frames there is no pseudopotential, or None."""
    if not {'frames', 'pseudos'} <= set(inputs):
        return None
    missing = sorted(set(inputs['frames'].base.attributes.get('elements')) - set(inputs['pseudos']))
    return f'pseudos: none for {missing}; given: {sorted(inputs["pseudos"])}' if missing else None


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Return a sentence when the codes or the pseudopotentials do not fit, else None."""
    code, pw_code = inputs.get('code'), inputs['pw_code']
    if code is not None and code.computer.uuid != pw_code.computer.uuid:
        return f'pw_code {pw_code.full_label} is not on the computer {code.computer.label} of the code that runs it'
    walltime = inputs['metadata']['options'].get('max_wallclock_seconds', DEFAULT_WALLTIME)
    if walltime <= MIN_MARGIN:
        return f'options.walltime: got {walltime:g}; must be more than {MIN_MARGIN:g} s, which are kept for the end of the job'
    if problem := missing_pseudos(inputs, None):
        return problem
    if absent := DFTConfig.model_validate(inputs['settings'].get_dict()).missing:
        return f'settings: {absent} missing; the protocol and the family of pseudopotentials must be filled in before'
    return None
