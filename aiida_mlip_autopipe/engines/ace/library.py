"""`pyace`, the library of `python-ace`: found where it is installed, and one sentence where it is not."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, Final

from aiida_mlip_autopipe.common.errors import InstallationError

REMEDY: Final = (
    'install it beside mlip-worker with: pip install python-ace==0.4.0rc1 (Academic Software Licence: academic, non-commercial '
    'use), or write train: {trainer: mlip_autopipe.pod}'
)
"""What every message about a missing `pyace` ends with."""


@cache
def pyace_module() -> Any:
    """Return the module `pyace`.

    :raises InstallationError: it is not installed, or this Python cannot load it.
    """
    try:
        import pyace  # noqa: PLC0415  # an optional dependency under a licence of its own
    except ImportError as error:
        raise InstallationError(f'python-ace, which ACE needs, cannot be loaded ({error}); {REMEDY}') from error
    logging.getLogger('pyace').setLevel(logging.WARNING)
    return pyace
