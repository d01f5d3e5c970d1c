"""The name that was probably meant by one that is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most alike, upper and lower case and underscores aside, or '' where none is."""
    plain = {_plain(candidate): candidate for candidate in known}
    near = difflib.get_close_matches(_plain(name), plain, n=1)
    return plain[near[0]] if near else ''


def _plain(name: str) -> str:
    return name.casefold().replace('_', '').replace('-', '')
