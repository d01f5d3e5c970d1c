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

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.fingerprint import fingerprint_of, recipe_of
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.engines.espresso.output import level_of_theory
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.formats.frame_archive import read_frame_archive
from aiida_mlip_autopipe.parsers.pw_run import read_run
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.science.quarantine import Failure, label_report

STDERR_TAIL = 400


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
    failures: list[Failure] = field(default_factory=list)
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
            status = run.get('status', pw_batch.NOT_STARTED)
            if status == pw_batch.OUT_OF_TIME:
                found.failures.append(_failure(frames, index, status))
            elif index in results:
                self._read(results[index], index, frames, found)
            elif status == pw_batch.NOT_STARTED:
                found.not_started.append(index)
            else:
                reason = 'output_missing' if status == pw_batch.ENDED else status
                found.failures.append(_failure(frames, index, reason, run.get('detail', '')))
        return self._attach(indices, found)

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
        except FormatError as error:
            found.failures.append(_failure(frames, index, str(error)))
            return
        label = Label(result.energy, result.forces, result.stress)
        if reason := label.problem(force_cap=found.force_cap, is_converged=result.converged):
            found.failures.append(_failure(frames, index, reason))
            return
        level = level_of_theory(found.theory, result)
        found.levels[fingerprint_of(level)] = level
        found.indices.append(index)
        found.labelled.append(label.put_on(atoms, fingerprint=fingerprint_of(level), label_uuid=found.label_uuid))

    def _attach(self, indices: list[int], found: _Sorted) -> ExitCode | None:
        """Attach the labelled frames and the counts, then say what was not reached; indices are those of `frames`."""
        report = label_report(len(indices), found.failures, found.levels)
        report.update(n_labelled=len(found.labelled), labelled=found.indices, not_started=found.not_started)
        report.update(recipe=found.recipe, uids=[str(atoms.info['uid']) for atoms in found.labelled])
        self.out('report', orm.Dict(report))
        if found.labelled:
            self.out('labelled', FramesData(Frames.from_atoms(found.labelled)))
        if len(found.labelled) == len(indices):
            return None
        if len(found.not_started) == len(indices):
            return self.exit_codes.ERROR_OUTPUT_MISSING.format(stderr=self._stderr())
        reasons = dict(report['by_reason'])
        if found.not_started:
            reasons[pw_batch.NOT_STARTED] = len(found.not_started)
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
        repository = self.retrieved.base.repository
        if name not in repository.list_object_names():
            return {}
        try:
            content: dict[str, Any] = json.loads(repository.get_object_content(name))
        except ValueError as error:  # a full disk, or a job killed while it wrote
            self.logger.warning(f'{name} cannot be read and is passed over: {error}')
            return {}
        return content

    def _stderr(self) -> str:
        repository = self.retrieved.base.repository
        text = repository.get_object_content(files.STDERR) if files.STDERR in repository.list_object_names() else ''
        return text.strip()[-STDERR_TAIL:] or 'nothing on standard error; the job may have been killed or run out of time'


def _failure(frames: Frames, index: int, reason: str, detail: str = '') -> Failure:
    return Failure(index, str(frames.uid[index]), f'{reason}: {detail}' if detail else reason)
