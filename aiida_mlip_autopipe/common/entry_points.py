"""What packages registered by name, found without AiiDA, as it is read on the compute machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any, Final

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.names import nearest_name

OWN: Final = 'mlip_autopipe.'
"""What the names of the entry points of this package begin with."""


def full_name(name: str) -> str:
    """Return the name of an entry point; those of this package may be given without their prefix."""
    return name if '.' in name else f'{OWN}{name}'


def section_of(entry_point: str) -> str:
    """Return the key of the configuration for an entry point: its name, with `_` for the dots that AiiDA allows in no key."""
    return entry_point.removeprefix(OWN).replace('.', '_')


def registered(group: str) -> list[str]:
    """Return the names that packages registered in a group."""
    return sorted(point.name for point in metadata.entry_points(group=group))


def plugins(group: str, check: Callable[[str, Any], None]) -> dict[str, Any]:
    """Return what is registered in a group, by the names of its entry points.

    What another package registered and what cannot be imported here is left out; :func:`load_plugin` says why.

    :param check: raises an error where what is registered under a name is not of the kind of the group.
    """
    found = {}
    for name in registered(group):
        try:
            found[name] = load_plugin(group, name)
        except EngineError:
            if name.startswith(OWN):
                raise
            continue
        check(name, found[name])
    return found


def sections(group: str, check: Callable[[str, Any], None]) -> dict[str, Any]:
    """Return :func:`plugins` by the keys of their sections: in the order of their `ORDER`, by name where two have the same."""
    found = {section_of(name): plugin for name, plugin in plugins(group, check).items()}
    return dict(sorted(found.items(), key=lambda item: (getattr(item[1], 'ORDER', 0), item[0])))


def require_subclass(entry_point: str, group: str, base: type, found: Any) -> None:
    """Check that what is registered is a class of the kind of its group.

    :raises InputError: it is not.
    """
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(f'{entry_point} of {group} must be a subclass of {base.__module__}.{base.__name__}; got {found!r}')


def load_plugin(group: str, name: str) -> Any:
    """Return what a package registered.

    :raises InputError: nothing is registered under that name.
    :raises EngineError: what is registered cannot be imported here.
    """
    found = metadata.entry_points(group=group, name=name)
    if not found:
        known = registered(group)
        near = nearest_name(name, known)
        hint = f'did you mean {near!r}? ' if near else ''
        raise InputError(f'{name!r} is no entry point of {group}; {hint}registered here: {", ".join(known)}')
    try:
        return next(iter(found)).load()
    except (ImportError, AttributeError) as error:  # the module, or the name in it
        raise EngineError(f'{name} of {group} cannot be imported on this machine: {error}') from error
