"""Parser of `PwBatchCalculation`: each frame is read, judged and kept by itself."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser
from ase import Atoms

from aiida_mlip_autopipe.common.fingerprint import fingerprint_of, recipe_of
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reasons import FrameFailure, LabelError, counted
from aiida_mlip_autopipe.common.reports import LabelReport
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.batch import RunStatus
from aiida_mlip_autopipe.engines.espresso.failures import OF_STATUS
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.engines.espresso.output import level_of_theory
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.formats.frame_archive import read_frame_archive
from aiida_mlip_autopipe.parsers.pw_run import read_run
from aiida_mlip_autopipe.parsers.worker import last_words, text_of
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.science.quarantine import label_report


@dataclass
class _Sorted:
    """The frames of a job by what became of them, and what all their labels share.

    :param theory: what of the level of theory was known before.
    :param recipe: hash of the theory and of the program.
    :param force_cap: eV/Å.
    """

    theory: dict[str, Any]
    recipe: str
    force_cap: float
    label_uuid: str
    indices: list[int] = field(default_factory=list)
    labelled: list[Atoms] = field(default_factory=list)
    failures: dict[int, FrameFailure] = field(default_factory=dict)
    not_started: list[int] = field(default_factory=list)
    levels: dict[str, dict[str, Any]] = field(default_factory=dict)


class PwBatchParser(Parser):
    """Sorts the frames into labelled, failed and not started; a job that was killed keeps what it had."""

    def parse(self, **_: Any) -> ExitCode | None:
        """Attach first, judge last."""
        if error := self._json(files.ERROR):
            return self.exit_codes.ERROR_STAGE_FAILED.format(message=error['message'])
        runs = {run['index']: run for run in self._json(files.REPORT).get('runs', [])}
        frames = self.node.inputs.frames.frames
        results = self._results()
        found = self._nothing_yet()
        indices = self.node.inputs.indices.get_list() if 'indices' in self.node.inputs else list(range(len(frames)))
        for index in indices:
            run = runs.get(index, {})
            status = RunStatus(run.get('status', RunStatus.NOT_STARTED))
            if index in results and status is not RunStatus.OUT_OF_TIME:
                self._read(results[index], index, frames, found)
            elif status is RunStatus.NOT_STARTED:
                found.not_started.append(index)
            else:
                found.failures[index] = FrameFailure(OF_STATUS[status], run.get('detail', ''))
        return self._attach(indices, frames, found)

    def _nothing_yet(self) -> _Sorted:
        """Return what all frames share, read once: each look at a node asks the database."""
        config = DFTConfig.model_validate(self.node.inputs.settings.get_dict())
        theory = config.theory({element: pseudo.md5 for element, pseudo in self.node.inputs.pseudos.items()})
        code = self.node.inputs.pw_code
        recipe = recipe_of(theory, f'{code.computer.label}:{code.filepath_executable}')
        return _Sorted(theory, recipe, config.force_cap, self.node.uuid)

    @staticmethod
    def _read(result_archive: bytes, index: int, frames: Frames, found: _Sorted) -> None:
        """Add the frame to those that it belongs to."""
        atoms = frames.atoms(index)
        try:
            result = read_run(io.BytesIO(result_archive), len(atoms))
        except LabelError as error:
            found.failures[index] = error.failure
            return
        label = Label(result.energy, result.forces, result.stress)
        if failure := label.failure(force_cap=found.force_cap, is_converged=result.converged):
            found.failures[index] = failure
            return
        level = level_of_theory(found.theory, result)
        found.levels[fingerprint_of(level)] = level
        found.indices.append(index)
        found.labelled.append(label.put_on(atoms, fingerprint=fingerprint_of(level), label_uuid=found.label_uuid))

    def _attach(self, indices: list[int], frames: Frames, found: _Sorted) -> ExitCode | None:
        """Attach the labelled frames and the counts, then say what was not reached; indices are those of `frames`."""
        report: LabelReport = {
            **label_report(frames, found.failures, found.levels, len(indices)),
            'n_labelled': len(found.labelled),
            'labelled': found.indices,
            'not_started': found.not_started,
            'recipe': found.recipe,
            'uids': [str(atoms.info['uid']) for atoms in found.labelled],
        }
        self.out('report', orm.Dict(report))
        if found.labelled:
            self.out('labelled', FramesData(Frames.from_atoms(found.labelled)))
        if len(found.labelled) == len(indices):
            return None
        if len(found.not_started) == len(indices):
            return self.exit_codes.ERROR_OUTPUT_MISSING.format(stderr=last_words(self.retrieved))
        idle = [f'{len(found.not_started)} {RunStatus.NOT_STARTED}'] if found.not_started else []
        reasons = ', '.join([*([counted(found.failures.values())] if found.failures else []), *idle])
        code = 'ERROR_PARTLY_LABELLED' if found.labelled else 'ERROR_ALL_FAILED'
        return getattr(self.exit_codes, code).format(n_labelled=len(found.labelled), n_frames=len(indices), reasons=reasons)

    def _results(self) -> dict[int, bytes]:
        """Return the archive of each run that left one, by index of the frame."""
        repository = self.retrieved.base.repository
        if pw_batch.RESULTS not in repository.list_object_names():
            return {}
        with repository.open(pw_batch.RESULTS, 'rb') as handle:
            return read_frame_archive(handle)

    def _json(self, name: str) -> dict[str, Any]:
        if name not in self.retrieved.base.repository.list_object_names():
            return {}
        try:
            content: dict[str, Any] = json.loads(text_of(self.retrieved, name))
        except ValueError as error:  # a full disk, or a job killed while it wrote
            self.logger.warning(f'{name} cannot be read and is passed over: {error}')
            return {}
        return content
