"""The level-of-theory fingerprint: one short text that is the same only for labels that may be mixed in one fit."""

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
