"""Reading of a YAML file in which no key may stand twice: PyYAML alone takes the last one and says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from aiida_mlip_autopipe.common.errors import InputError

MERGE_TAG = 'tag:yaml.org,2002:merge'
"""Tag of the key `<<`, which takes over another mapping and may stand more than once."""


class DuplicateKeyError(yaml.YAMLError):
    """A key that stands twice in one mapping."""


class StrictLoader(yaml.SafeLoader):
    """Loader of plain values that refuses duplicate keys.

    The keys are compared before `<<` is resolved: a key beside it overrides the same key of the mapping that is taken over.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next mapping of the document.

        :raises DuplicateKeyError: a key stands twice in it; both lines are named.
        """
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE_TAG:
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise DuplicateKeyError(f'line {line}: the key {key.value!r} is given twice, first in line {lines[name]}')
            lines[name] = line
        return node


def read_yaml(path: Path) -> Any:
    """Return the plain values of a YAML file; None when it holds nothing.

    :raises InputError: the file is missing, not text, not YAML, or gives a key twice.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read: {error}') from error
    try:
        return yaml.load(text, Loader=StrictLoader)
    except DuplicateKeyError as error:
        raise InputError(f'{path}: {error}') from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-01
        raise InputError(f'{path}: not valid YAML: {" ".join(str(error).split())}') from error
