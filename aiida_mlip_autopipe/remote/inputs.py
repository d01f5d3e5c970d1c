"""What the stages read in common: checked settings, frames, a potential, functions named by entry points."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.base import explain
from aiida_mlip_autopipe.formats.files import arrays_file

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


def load_function(group: str, name: str) -> Callable[..., Any]:
    """Return the function that a package registered.

    :raises InputError: nothing is registered under that name.
    :raises EngineError: what is registered cannot be imported here.
    """
    found = metadata.entry_points(group=group, name=name)
    if not found:
        known = sorted(point.name for point in metadata.entry_points(group=group))
        raise InputError(f'{name!r} is no entry point of {group}; registered here: {", ".join(known)}')
    try:
        function: Callable[..., Any] = next(iter(found)).load()
    except (ImportError, AttributeError) as error:  # the module, or the function in it
        raise EngineError(f'{name} of {group} cannot be imported on this machine: {error}') from error
    return function
