"""`PacemakerCalculation`: a fit of the atomic cluster expansion with Pacemaker, its fast form and its active set in one job."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob

from aiida_mlip_autopipe.calculations.spec import BandedCalcJobSpec, set_job_defaults, settings_validator
from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace import pacemaker_active_set, pacemaker_data, pacemaker_input, pacemaker_job, pacemaker_start
from aiida_mlip_autopipe.engines.ace import potential as files
from aiida_mlip_autopipe.engines.ace.core import cores, shortest_distances
from aiida_mlip_autopipe.engines.ace.files import POTENTIAL_FILES, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.pacemaker_log import Failure
from aiida_mlip_autopipe.engines.ace.pacemaker_predictions import PREDICTIONS
from aiida_mlip_autopipe.engines.ace.pacemaker_settings import PacemakerTrainer

PARSER: Final = 'mlip_autopipe.pacemaker'

STATUS_OF: Final = {
    Failure.POTENTIAL_MISSING: 330,
    Failure.CUT_SHORT: 340,
    Failure.INSTALLATION: 401,
    Failure.SETTINGS_REFUSED: 411,
    Failure.INPUT_UNREADABLE: 412,
    Failure.DATA_COLUMN_MISSING: 421,
    Failure.DATA_NOT_FINITE: 422,
    Failure.DATA_UNREADABLE: 423,
    Failure.DATA_EMPTY: 424,
    Failure.DATA_SHAPE: 425,
    Failure.MIXED_BOUNDARIES: 426,
    Failure.REFERENCE_REPLACED: 427,
    Failure.LOSS_NOT_FINITE: 430,
    Failure.NO_ITERATIONS: 431,
    Failure.NOTHING_TO_FIT: 440,
    Failure.OUT_OF_MEMORY: 450,
    Failure.RUN_FAILED: 460,
}
"""Exit status of each failure; its label is `ERROR_` and the name of the failure."""

NOT_OF_THE_INPUTS: Final = {Failure.INSTALLATION, Failure.OUT_OF_MEMORY, Failure.RUN_FAILED}
"""Failures that the same inputs need not meet again: never served from the cache."""


LINEAR: Final = 'linear'
"""Value of `initial_potential` in the settings with which the start brings the basis."""


@dataclass(frozen=True)
class Plan:
    """What a fit is given.

    :param values: content of `input.yaml`.
    :param option: with which the initial potential is handed over, or empty.
    :param start: text of the initial potential, or empty.
    """

    values: dict[str, Any]
    option: str = ''
    start: str = ''


class PacemakerCalculation(CalcJob):
    """One job: import self-test, `pacemaker`, `pace_yaml2yace`, `pace_activeset`."""

    _spec_class = BandedCalcJobSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs and exit codes."""
        super().define(spec)
        spec.inputs['code'].required = True
        spec.input('frames', valid_type=FramesData, help='Training frames with energy (eV) and forces (eV/Å).')
        spec.input('test_frames', valid_type=FramesData, required=False, help='Frames that are only evaluated (eV, eV/Å).')
        spec.input('references', valid_type=FramesData, help='Isolated atoms, one for each element, labelled in eV.')
        spec.input('elements', valid_type=orm.List, help='Chemical symbols, in the order of the atom types of the potential.')
        spec.input('seed', valid_type=orm.Int, help='Seed of everything random, dimensionless.')
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=settings_validator(PacemakerTrainer),
            help='Training settings, as `PacemakerTrainer`: cutoff in Å.',
        )
        spec.input(
            'initial_potential',
            valid_type=PotentialData,
            required=False,
            help='Potential to start from: a linear one of `mlip_autopipe.ace` or one of an earlier fit; with '
            '`initial_potential: none` in the settings an earlier fit of the same basis, or of one with fewer functions.',
        )
        help_text = 'Code of `{}`; without it the program of that name beside `code`, or in `PATH`, is run.'
        spec.input('yaml2yace_code', valid_type=orm.InstalledCode, required=False, help=help_text.format('pace_yaml2yace'))
        spec.input('activeset_code', valid_type=orm.InstalledCode, required=False, help=help_text.format('pace_activeset'))
        spec.inputs.validator = validate_inputs
        set_job_defaults(spec, parser=PARSER, input_file=files.INPUT, output_file=files.LOG)
        spec.output('potential', valid_type=PotentialData, required=False, help='The fitted potential with its active set.')
        spec.output('report', valid_type=orm.Dict, required=False, help='Errors (eV/atom, eV/Å) and what the fit says of itself.')
        spec.output(
            'learning_curve',
            valid_type=orm.ArrayData,
            required=False,
            help='Columns of metrics.txt, one row for each iteration (eV/atom, eV/Å); those of the test set begin with `test_`.',
        )
        spec.exit_code(210, 'ERROR_INPUT_REFUSED', message='{cause}')
        spec.exit_code(320, 'ERROR_OUTPUT_UNREADABLE', message='An output cannot be read: {cause}')
        spec.exit_code(461, 'ERROR_EXPORT_FAILED', message='pace_yaml2yace did not write the fast form: {cause}')
        spec.exit_code(462, 'ERROR_ACTIVE_SET_FAILED', message='pace_activeset did not write the active set: {cause}')
        for failure, status in STATUS_OF.items():
            never_cached = True if failure in NOT_OF_THE_INPUTS else None
            spec.exit_code(
                status,
                f'ERROR_{failure.name}',
                message=f'{failure.value[0].upper()}{failure.value[1:]}: {{cause}}',
                invalidates_cache=never_cached,
            )

    async def run(self) -> Any:
        """Refuse what Pacemaker would fail at, or take for something else without a word, before anything is submitted."""
        if self.node.exit_status is None and 'remote_folder' not in self.inputs:
            try:
                self._check_inputs()
            except (InputError, FormatError) as error:
                return self.exit_codes.ERROR_INPUT_REFUSED.format(cause=str(error))
        return await super().run()

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write `input.yaml` and the data sets, and say what runs before and after the fit and what comes back."""
        plan, references = self._plan, self._references()
        factors = self._factors() if self._config.weighting == 'uniform' else None
        written = {files.TRAIN_DATA: pacemaker_data.dataset(self.inputs.frames.frames, references, factors)}
        if 'test_frames' in self.inputs:
            test = self.inputs.test_frames.frames
            equal = None if factors is None else np.ones(len(test))
            written[files.TEST_DATA] = pacemaker_data.dataset(test, references, equal)
        if plan.option:
            written[files.INITIAL_POTENTIAL] = plan.start.encode()
        written[pacemaker_job.SELECT_SCRIPT] = Path(pacemaker_active_set.__file__).read_bytes()
        for name, content in written.items():
            with folder.open(name, 'wb') as handle:
                handle.write(content)
        with folder.open(files.INPUT, 'w', encoding='utf-8') as handle:
            handle.write(pacemaker_input.input_text(plan.values))
        return self._calc_info([files.INPUT, *([plan.option, files.INITIAL_POTENTIAL] if plan.option else [])], list(written))

    @property
    def _config(self) -> PacemakerTrainer:
        return PacemakerTrainer.model_validate(self.inputs.settings.get_dict())

    def _references(self) -> dict[str, float]:
        return pacemaker_data.reference_energies(self.inputs.references.frames, self.inputs.elements.get_list())

    def _check_inputs(self) -> None:
        """Raise `InputError` with the first thing that Pacemaker would not tell."""
        parts = {name: self.inputs[name].frames for name in ('frames', 'test_frames') if name in self.inputs}
        references = self._references()
        for name, frames in parts.items():
            pacemaker_data.check_frames(frames, references, name)
        pacemaker_data.one_fingerprint(self.inputs.references.frames, *parts.values())
        if missing := sorted(set(self.inputs.elements.get_list()) - set(parts['frames'].elements)):
            raise InputError(f'frames: no frame holds {missing}, so that nothing could be learned about it')
        pacemaker_input.check_input(self._plan.values)

    def _factors(self) -> FloatArray:
        return pacemaker_data.force_factors(self.inputs.frames.frames, self._config.kappa_f)

    @cached_property
    def _plan(self) -> Plan:
        """Input and start, made once: the search for the shortest distances takes a while."""
        config, frames = self._config, self.inputs.frames.frames
        elements = self.inputs.elements.get_list()
        core = cores(shortest_distances(frames, elements, config.cutoff)) if config.core_repulsion else {}
        if config.initial_potential == LINEAR:
            values = self._values(files.INITIAL_POTENTIAL)
            return Plan(values, pacemaker_input.CONTINUE, self._start(core))
        values = pacemaker_input.with_core(self._values(), core)
        if 'initial_potential' not in self.inputs:
            return Plan(values)
        old = pacemaker_input.read_input(_content(self.inputs.initial_potential, files.INPUT).decode())
        option = pacemaker_input.start_option(old['potential'], values['potential'])
        if option == pacemaker_input.CONTINUE:
            values = pacemaker_input.without_ladder(values)
        return Plan(values, option, self._start(core))

    def _values(self, potential: str = '') -> dict[str, Any]:
        """Return the content of `input.yaml`.

        :param potential: name of the file that brings the basis, or empty.
        """
        config, test = self._config, files.TEST_DATA if 'test_frames' in self.inputs else ''
        mean_factor = float(np.average(self._factors(), weights=self.inputs.frames.frames.counts))
        return pacemaker_input.build_input(
            config.model_dump(),
            self.inputs.elements.get_list(),
            pacemaker_input.InputFiles((files.TRAIN_DATA,), test, potential),
            seed=self.inputs.seed.value,
            kappa=pacemaker_input.effective_kappa(config.kappa, mean_factor),
            origin=f'AiiDA frames {self.inputs.frames.uuid}',
        )

    def _start(self, core: dict[tuple[str, str], tuple[float, float]]) -> str:
        config = self._config
        embeddings = config.model_dump()['embeddings']
        return pacemaker_start.starting_potential(
            _content(self.inputs.initial_potential, POTENTIAL_YAML).decode(),
            pacemaker_start.embeddings_of(embeddings, self.inputs.elements.get_list()),
            core,
            cutoff=config.cutoff,
        )

    def _calc_info(self, parameters: list[str], not_kept: list[str]) -> CalcInfo:
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = parameters
        code.stdout_name = pacemaker_job.STDOUT
        code.stderr_name = pacemaker_job.STDERR
        info = CalcInfo()
        info.codes_info = [code]
        info.prepend_text = self._self_test()
        info.append_text = pacemaker_job.export_commands(
            self._program('yaml2yace_code'), self._program('activeset_code'), all_atoms=self._config.all_atoms
        )
        steps = [
            name(step) for step in pacemaker_job.STEPS for name in (pacemaker_job.return_code_file, pacemaker_job.output_file)
        ]
        logs = [files.LOG, files.METRICS, files.TEST_METRICS, files.INTERIM_POTENTIAL, pacemaker_job.STDERR]
        info.retrieve_list = list(dict.fromkeys([files.INPUT, *logs, *steps]))
        info.retrieve_temporary_list = [*POTENTIAL_FILES, PREDICTIONS]
        info.provenance_exclude_list = not_kept
        return info

    def _self_test(self) -> str:
        by_name = {'yaml2yace_code': pacemaker_job.YAML2YACE, 'activeset_code': pacemaker_job.ACTIVESET}
        programs = [program for port, program in by_name.items() if port not in self.inputs]
        return pacemaker_job.self_test_commands(str(self.inputs.code.filepath_executable), programs)

    def _program(self, port: str) -> pacemaker_job.Program | None:
        if port not in self.inputs:
            return None
        code = self.inputs[port]
        return pacemaker_job.Program(str(code.filepath_executable), code.prepend_text or '')


def _content(potential: PotentialData, name: str) -> bytes:
    return bytes(potential.base.repository.get_object_content(name, mode='rb'))


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Return which elements do not fit to each other, or None: Pacemaker would take atoms that the potential does not know."""
    if not {'frames', 'elements', 'settings'} <= set(inputs):
        return None
    elements = inputs['elements'].get_list()
    if not elements or len(set(elements)) != len(elements):
        return f'elements: got {elements}; must be at least one symbol, each once'
    for name in ('frames', 'test_frames'):
        found = set(inputs[name].base.attributes.get('elements')) if name in inputs else set()
        if unknown := sorted(found - set(elements)):
            return f'{name}: holds {unknown}, which elements {elements} does not list; Pacemaker would fit it without a word'
    return _problem_of_the_start(inputs, elements)


def _problem_of_the_start(inputs: Any, elements: list[str]) -> str | None:
    is_linear = inputs['settings'].get_dict().get('initial_potential', LINEAR) == LINEAR
    if 'initial_potential' not in inputs:
        return (
            'initial_potential: missing, and the settings start from one: fit it with mlip_autopipe.ace, as '
            'mlip_autopipe.train does, or set initial_potential: none'
            if is_linear
            else None
        )
    potential = inputs['initial_potential']
    if potential.elements != elements:
        return f'initial_potential: is for {potential.elements}, this fit for {elements}; they must be the same, in this order'
    needed = {POTENTIAL_YAML} if is_linear else {POTENTIAL_YAML, files.INPUT}
    if missing := needed - set(potential.base.repository.list_object_names()):
        return f'initial_potential: has no {sorted(missing)}; ' + (
            'Pacemaker goes on only from ACE potentials' if is_linear else 'its basis cannot be compared with the settings'
        )
    return None
