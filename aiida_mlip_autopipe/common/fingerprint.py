"""The level-of-theory fingerprint, the same only for labels that may be mixed in one fit, and how two levels differ."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FINGERPRINT_LENGTH = 16


def fingerprint_of(level_of_theory: Mapping[str, Any]) -> str:
    """Return the fingerprint of a level of theory, whatever the order of its keys.

    :param level_of_theory: everything that changes a label: pseudopotential md5s, cutoffs, k-distance, smearing, functional,
        spin, code version; values that JSON can hold.
    :return: 16 hexadecimal digits.
    """
    text = json.dumps(level_of_theory, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_LENGTH]


def recipe_of(theory: Mapping[str, Any], program: str) -> str:
    """Return the hash of a theory and of what carries it out: labels of one recipe may stand in for each other.

    :param theory: what of the level of theory is known before a calculation.
    :param program: computer and path.
    """
    return fingerprint_of({**theory, 'program': program})


def difference(levels: Mapping[str, Mapping[str, Any]]) -> str:
    """Return in words where levels of theory differ, such as `degauss: 0.01 (a1b2…) or 0.02 (c3d4…)`.

    :param levels: level of theory by fingerprint, two or more.
    """
    flat = {name: _flat(level) for name, level in levels.items()}
    parts = []
    for key in sorted({key for level in flat.values() for key in level}):
        found = {name: level.get(key, 'not given') for name, level in flat.items()}
        if len({repr(value) for value in found.values()}) > 1:
            parts.append(f'{key}: ' + ' or '.join(f'{value} ({name})' for name, value in sorted(found.items())))
    return '; '.join(parts) or 'no recorded difference'


def _flat(level: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in level.items():
        flat.update(_flat(value, f'{prefix}{key}.') if isinstance(value, Mapping) else {f'{prefix}{key}': value})
    return flat
