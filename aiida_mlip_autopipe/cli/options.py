"""Arguments and behaviour that the commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aiida_mlip_autopipe.common.errors import InputError, MlipError

NO_PROFILE = (
    'no AiiDA profile is configured: run ./setup_profile.sh in the folder of the project, then `source .venv/bin/activate` '
    'in this shell (it sets AIIDA_PATH), or make a profile with `verdi presto --use-zeromq`'
)

CONFIG = click.argument('config', type=click.Path(path_type=Path))
process_argument = click.argument('pk', metavar='PK')


def fail_with_one_sentence(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors that the package raises on purpose into a message and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except MlipError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def load_profile() -> None:
    """Load the default AiiDA profile.

    :raises InputError: there is none.
    """
    import aiida
    from aiida.common.exceptions import ConfigurationError

    try:
        aiida.load_profile()
    except ConfigurationError as error:
        raise InputError(NO_PROFILE) from error
