"""Functions and classes that a package registered by name, found without AiiDA, as they are read on the compute machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.names import nearest_name


def load_function(group: str, name: str) -> Callable[..., Any]:
    """Return the function or class that a package registered.

    :raises InputError: nothing is registered under that name.
    :raises EngineError: what is registered cannot be imported here.
    """
    found = metadata.entry_points(group=group, name=name)
    if not found:
        known = sorted(point.name for point in metadata.entry_points(group=group))
        near = nearest_name(name, known)
        hint = f'did you mean {near!r}? ' if near else ''
        raise InputError(f'{name!r} is no entry point of {group}; {hint}registered here: {", ".join(known)}')
    try:
        function: Callable[..., Any] = next(iter(found)).load()
    except (ImportError, AttributeError) as error:  # the module, or the function in it
        raise EngineError(f'{name} of {group} cannot be imported on this machine: {error}') from error
    return function
