"""What the stages read in common: checked settings, frames, a potential, functions named by entry points."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from aiida_mlip_autopipe.common.entry_points import load_plugin
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.settings import explain
from aiida_mlip_autopipe.formats.files import arrays_file

__all__ = ['checked', 'load_plugin', 'read_frames']

Model = TypeVar('Model', bound=BaseModel)


def checked(model: type[Model], values: dict[str, Any]) -> Model:
    """Return settings as a model of the config.

    :raises InputError: one line for each mistake.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, model)) from error


def read_frames(folder: Path, port: str) -> Frames:
    """Return the frames of an input port.

    :raises InputError: the file is missing or no archive of arrays.
    :raises InvalidFramesError: a column is missing or contradicts another.
    """
    path = folder / arrays_file(port)
    if not path.exists():
        raise InputError(f'{path.name}: the frames of the input {port} are missing')
    try:
        return Frames.load(path)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f'{path.name}: cannot be read: {error}') from error
