"""Parser of `PacemakerCalculation`."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser
from ase.data import atomic_numbers

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions, spread_indices
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace import pacemaker_data, pacemaker_job, pacemaker_log, pacemaker_predictions
from aiida_mlip_autopipe.engines.ace import potential as files
from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET, ENGINE, POTENTIAL_FILES, POTENTIAL_YACE, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.pacemaker_log import Failure, RunSummary
from aiida_mlip_autopipe.engines.ace.pacemaker_settings import PacemakerTrainer
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD

TAIL = 400
"""Characters of a program's output that an error message quotes."""


class PacemakerParser(Parser):
    """Attaches learning curve, report and potential, and tells which failure it was."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach first, judge last: a learning curve survives an error."""
        if (problem := self._self_test()) is not None:
            return problem
        folder = Path(kwargs['retrieved_temporary_folder'])
        text = self._text(pacemaker_job.STDERR)
        run = pacemaker_log.read_log(text)
        contents = {name: (folder / name).read_bytes() for name in POTENTIAL_FILES if (folder / name).is_file()}
        failure = pacemaker_log.judge(run, self._return_code(pacemaker_job.FIT), text, has_potential=POTENTIAL_YAML in contents)
        try:
            curves = self._curves()
            predictions = folder / pacemaker_predictions.PREDICTIONS
            self._attach(run, curves, contents if failure is None else {}, predictions)
        except (FormatError, InputError, UnicodeDecodeError) as cause:
            return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(cause=cause)
        if failure is not None:
            return self._exit_code(*failure)
        return self._judge_export(contents) or self._judge_errors(curves)

    def _self_test(self) -> ExitCode | None:
        code = self._return_code(pacemaker_job.SELF_TEST)
        if code is None:
            return self._exit_code(Failure.CUT_SHORT, 'the job ended before the self-test of the installation')
        if code != 0:
            cause = self._last_line(pacemaker_job.output_file(pacemaker_job.SELF_TEST))
            return self._exit_code(Failure.INSTALLATION, f'self-test: {cause}; see docs/pacemaker.md')
        return None

    def _curves(self) -> dict[str, FloatArray]:
        """Return the columns of both metrics files; those of the test set have the prefix `test_`."""
        curves: dict[str, FloatArray] = {}
        for name, prefix in ((files.METRICS, ''), (files.TEST_METRICS, 'test_')):
            if text := self._text(name):
                curves |= {f'{prefix}{column}': values for column, values in pacemaker_log.read_metrics(text).items()}
        return curves

    def _attach(self, run: RunSummary, curves: dict[str, FloatArray], contents: dict[str, bytes], predictions: Path) -> None:
        if curves:
            self.out('learning_curve', orm.ArrayData(curves))
        report = self._report(run, curves)
        if set(contents) == set(POTENTIAL_FILES):
            elements = self.node.inputs.elements.get_list()
            report['functions'] = files.check_same_fit(contents, elements)
            report['warnings'] = _few_atoms(self.node.inputs.frames.frames, report['functions'])
            self.out('potential', self._potential(contents, elements, predictions))
        self.out('report', orm.Dict(report))

    def _potential(self, contents: dict[str, bytes], elements: list[str], predictions: Path) -> PotentialData:
        """Return the three files and the input that made them, tied by their checksums, with Pacemaker's own predictions."""
        kept = {**contents, files.INPUT: self._text(files.INPUT).encode()}
        inputs = self.node.inputs
        config = PacemakerTrainer.model_validate(inputs.settings.get_dict())
        frames, isolated = inputs.frames.frames, inputs.references.frames
        references = pacemaker_data.reference_energies(isolated, elements)
        fingerprint = pacemaker_data.one_fingerprint(frames, isolated)
        record = files.record_of(elements, config.cutoff, references, fingerprint, kept)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for path, content in kept.items():
                (folder / path).write_bytes(content)
            chosen = spread_indices(len(frames), config.checks.compared_frames)
            if (own := self._predictions(predictions, frames, references, chosen)) is not None:
                own.save(folder)
            (folder / POTENTIAL_RECORD).write_text(record.to_json(), encoding='utf-8')
            return PotentialData.from_folder(folder, training_uuid=inputs.frames.uuid)

    def _predictions(
        self, path: Path, frames: Frames, references: dict[str, float], chosen: IntArray
    ) -> TrainerPredictions | None:
        """Return what Pacemaker makes of some training frames; without it a check is missing, but the potential is good."""
        if not path.is_file():
            return None
        try:
            return pacemaker_predictions.read_predictions(path.read_bytes(), frames, references, chosen)
        except FormatError as error:
            self.logger.warning(f'the export is not checked against Pacemaker itself: {error}')
            return None

    def _report(self, run: RunSummary, curves: dict[str, FloatArray]) -> dict[str, Any]:
        n_frames = len(self.node.inputs.frames)
        errors = pacemaker_log.last_errors(curves) if curves else {}
        test = {name.removeprefix('test_'): values for name, values in curves.items() if name.startswith('test_')}
        is_whole = run.n_structures == n_frames
        return {
            'engine': ENGINE,
            'n_frames': n_frames,
            'n_fitted': run.n_structures,
            # The errors of a part of the frames cannot be compared with what LAMMPS makes of all of them.
            'training_errors': _finite(errors) if is_whole else {},
            'fitted_errors': _finite(errors),
            'test_errors': _finite(pacemaker_log.last_errors(test)) if test else None,
            'loss': _finite({'loss': float(curves['loss'][-1])})['loss'] if 'loss' in curves else None,
            'n_iterations': run.n_iterations,
            'n_functions': int(curves['nfuncs'][-1]) if 'nfuncs' in curves else None,
            'n_coefficients': int(curves['ncoefs'][-1]) if 'ncoefs' in curves else None,
            'status': run.status,
            'message': run.message,
            'kappa': run.kappa,
            'version': run.version,
            'gamma_train_max': pacemaker_log.largest_grade(self._text(pacemaker_job.output_file(pacemaker_job.SELECT))),
        }

    def _judge_export(self, contents: dict[str, bytes]) -> ExitCode | None:
        for step, name, label in (
            (pacemaker_job.EXPORT, POTENTIAL_YACE, 'ERROR_EXPORT_FAILED'),
            (pacemaker_job.SELECT, ACTIVE_SET, 'ERROR_ACTIVE_SET_FAILED'),
        ):
            code = self._return_code(step)
            if code is None:
                return self._exit_code(Failure.CUT_SHORT, f'the job ended before {step} did')
            if code != 0 or name not in contents:
                cause = f'return code {code}: {self._last_line(pacemaker_job.output_file(step))}'
                return getattr(self.exit_codes, label).format(cause=cause)
        return None

    def _judge_errors(self, curves: dict[str, FloatArray]) -> ExitCode | None:
        if not curves:
            return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(cause=f'{files.METRICS} is missing')
        errors = {'loss': float(curves['loss'][-1]), **pacemaker_log.last_errors(curves)}
        if not all(math.isfinite(value) for value in errors.values()):
            return self._exit_code(Failure.LOSS_NOT_FINITE, f'last row of {files.METRICS}: {errors}')
        return None

    def _exit_code(self, failure: Failure, cause: str) -> ExitCode:
        return getattr(self.exit_codes, f'ERROR_{failure.name}').format(cause=cause)

    def _return_code(self, step: str) -> int | None:
        return pacemaker_job.return_code(self._text(pacemaker_job.return_code_file(step)))

    def _text(self, name: str) -> str:
        repository = self.retrieved.base.repository
        if name not in repository.list_object_names():
            return ''
        return bytes(repository.get_object_content(name, mode='rb')).decode('utf-8', errors='replace')

    def _last_line(self, name: str) -> str:
        lines = [line.strip() for line in self._text(name).splitlines() if line.strip()]
        return lines[-1][-TAIL:] if lines else f'nothing in {name}'


def _few_atoms(frames: Frames, functions: dict[str, int]) -> list[str]:
    """Return a sentence for each element with fewer atoms than functions."""
    atoms = {element: int((frames.numbers == atomic_numbers[element]).sum()) for element in functions}
    return [
        f'{element} has {atoms[element]} training atoms for {functions[element]} functions: some places of its active set hold '
        'no atom; more labels of it, or fewer functions (b_basis_size, from a linear fit train.ace.functions), help'
        for element in functions
        if atoms[element] < functions[element]
    ]


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """Return the values with None for those that AiiDA cannot store."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
