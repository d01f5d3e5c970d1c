"""Where the structures lie that a generation starts from: copies of files and nodes, beside the job that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiida_mlip_autopipe.common.errors import InputError

BASES: Final = 'bases'
"""Folder of the copies, one folder in it for each file or node."""

SOURCES: Final = {'files': 'paths', 'structures': 'nodes'}
"""Sections of the generator that name structures from elsewhere, and the key under which they do."""


def base_folder(section: str, index: int) -> str:
    """Return the name of the folder of one file or node, such as `files_003`: names in order are indices in order."""
    return f'{section}_{index:03d}'


def located(generate: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings of the generator with the copies in place of the files and nodes that have some.

    :param generate: fields of `GeneratorConfig`.
    :param folder: holds the folder `bases`, or nothing.
    :raises InputError: a section has some copies, but not as many as it names.
    """
    settings = dict(generate)
    for section, key in SOURCES.items():
        copies = [str(path) for path in sorted((folder / BASES).glob(f'{section}_*/*'))]
        if not settings.get(section) or not copies:
            continue
        if len(copies) != len(settings[section][key]):
            raise InputError(f'{section}.{key}: names {len(settings[section][key])}, but {len(copies)} lie in {folder / BASES}')
        settings[section] = {**settings[section], key: copies}
    return settings
