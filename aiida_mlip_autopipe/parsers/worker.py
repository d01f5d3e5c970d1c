"""`WorkerParser`: find, read and attach what a stage of `mlip-worker` left, then judge it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser

from aiida_mlip_autopipe.common.errors import FormatError, InputError, InstallationError, InvalidFramesError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats import files

UNREADABLE = (InvalidFramesError, FormatError, ValueError, EOFError, zipfile.BadZipFile)
"""What reading an output raises: contradictory frames, a bad record, text that is no JSON, an empty or broken archive."""

STDERR_TAIL = 400
"""Characters of the standard error that an error message quotes."""


class WorkerParser(Parser):
    """Attaches the report, every frames output that has a file, and what a subclass adds; then judges."""

    LABELS: ClassVar[dict[str, str]] = {
        InputError.__name__: 'ERROR_INPUT_REFUSED',
        InstallationError.__name__: 'ERROR_INSTALLATION',
    }
    """Label of the exit code of each kind of error; others are failures of the stage."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach first, judge last: partial results survive an error."""
        folder = Path(kwargs['retrieved_temporary_folder'])
        try:
            report = self._read_json(files.REPORT)
            error = self._read_json(files.ERROR)
            if report is not None:
                self.out('report', orm.Dict(report))
            self._attach_frames(folder)
            self.attach(folder, report or {})
        except UNREADABLE as cause:
            return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(cause=cause)
        if error is not None:
            label = self.LABELS.get(error['kind'], 'ERROR_STAGE_FAILED')
            return getattr(self.exit_codes, label).format(message=error['message'])
        if report is None:
            return self.exit_codes.ERROR_REPORT_MISSING.format(stderr=last_words(self.retrieved))
        return self.judge(report)

    def adopt(self, frames: Frames) -> Frames:
        """Return the frames as they are attached; a labeller adds the uuid of its calculation here."""
        return frames

    def attach(self, folder: Path, report: dict[str, Any]) -> None:
        """Attach the outputs that are neither the report nor frames."""

    def judge(self, report: dict[str, Any]) -> ExitCode | None:
        """Return the exit code of a stage that wrote a report."""

    def read_arrays(self, folder: Path, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of the file of an output port, or nothing when the file is missing."""
        path = folder / files.arrays_file(name)
        if not path.exists():
            return {}
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    def attach_arrays(self, folder: Path, name: str) -> None:
        """Attach the arrays of the file of an output port as `ArrayData`."""
        if arrays := self.read_arrays(folder, name):
            self.out(name, orm.ArrayData(arrays))

    def _attach_frames(self, folder: Path) -> None:
        for name, port in self.node.process_class.spec().outputs.items():
            path = folder / files.arrays_file(name)
            if port.valid_type is FramesData and path.exists():
                frames = Frames.load(path)
                if len(frames):
                    self.out(name, FramesData(self.adopt(frames)))

    def _read_json(self, name: str) -> dict[str, Any] | None:
        if name not in self.retrieved.base.repository.list_object_names():
            return None
        content: dict[str, Any] = json.loads(text_of(self.retrieved, name), parse_constant=_refuse)
        return content


def text_of(retrieved: orm.FolderData, name: str) -> str:
    """Return the text of a file that came back, or nothing where it did not."""
    repository = retrieved.base.repository
    return repository.get_object_content(name) if name in repository.list_object_names() else ''


def last_words(retrieved: orm.FolderData, name: str = files.STDERR) -> str:
    """Return the end of the standard error of a job, or a sentence where it is empty."""
    text = text_of(retrieved, name).strip()[-STDERR_TAIL:]
    return text or 'nothing on standard error; the job may have been killed or run out of time'


def _refuse(constant: str) -> Any:
    # AiiDA cannot store such a number, and would fail after the parser has ended.
    raise FormatError(f'a number is not finite: {constant}')
