"""Values given as a range in place of a list: numbers, fractions of a composition, supercells."""

from __future__ import annotations

import itertools
import math
from typing import Any, Final

from pydantic import BeforeValidator

KEYS: Final = ('start', 'stop', 'step')

LONGEST: Final = 1000
"""Values that one range may have; more is a slip in the step."""

DIGITS: Final = 10
"""Decimal places that the values of a range keep, so that 3 steps of 0.1 are 0.3."""

REST: Final = 'rest'
"""In place of a fraction: what the others leave."""


def numbers_of(value: Any) -> Any:
    """Return the numbers of a range `{start, stop, step}`, the end included; anything else as it is.

    :raises ValueError: it is a mapping, but no range.
    """
    if not isinstance(value, dict):
        return value
    if set(value) != set(KEYS) or not all(_is_number(value[key]) for key in KEYS):
        raise ValueError(f'a range has numbers under the keys {", ".join(KEYS)}, got {value}')
    start, stop, step = (value[key] for key in KEYS)
    count = (stop - start) / step if step else -1.0
    if not 0 <= count < LONGEST:
        raise ValueError(f'step must lead from start to stop in fewer than {LONGEST} steps, got {value}')
    return [round(start + index * step, DIGITS) for index in range(math.floor(count + 1e-9) + 1)]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


Spread: Final = BeforeValidator(numbers_of)
"""Annotation of a list of numbers that may also be given as a range."""


def compositions_of(value: Any) -> list[Any]:
    """Return the compositions that one mapping of elements to fractions, ranges and `rest` describes.

    :raises ValueError: a range without an element that takes the rest, or several that do.
    """
    if not isinstance(value, dict) or all(_is_number(fraction) for fraction in value.values()):
        return [value]
    resting = [element for element, fraction in value.items() if fraction == REST]
    if len(resting) > 1 or (not resting and any(isinstance(fraction, dict) for fraction in value.values())):
        raise ValueError(f'a composition with ranges needs one element with the fraction {REST!r}, got {value}')
    if not resting:
        return [value]
    given = {element: numbers_of(fraction) for element, fraction in value.items() if element not in resting}
    choices = [numbers if isinstance(numbers, list) else [numbers] for numbers in given.values()]
    every = (_completed(dict(zip(given, chosen, strict=True)), resting[0]) for chosen in itertools.product(*choices))
    return [found for found in every if found]


def _completed(fractions: dict[str, Any], resting: str) -> dict[str, Any] | None:
    """Return the fractions with the rest, without zeros, or None where nothing is left to be the rest."""
    if not all(_is_number(fraction) for fraction in fractions.values()):
        raise ValueError(f'a fraction is a number, a range or {REST!r}, got {fractions}')
    rest = round(1.0 - math.fsum(fractions.values()), DIGITS)
    return {e: x for e, x in {**fractions, resting: rest}.items() if x != 0} if rest >= 0 else None


def unique(values: list[Any]) -> list[Any]:
    """Return the values, each once."""
    return [value for index, value in enumerate(values) if value not in values[:index]]


def supercells_of(value: Any) -> list[Any]:
    """Return the supercells from `start` by `step` to `stop`, each three repeats or one for all; or the one that is given.

    :raises ValueError: it is a mapping, but no range.
    """
    if not isinstance(value, dict):
        return [value]
    if set(value) - {'step'} != {'start', 'stop'}:
        raise ValueError(f'a range of supercells has the keys {", ".join(KEYS)}, got {value}')
    start, stop, step = (_triple(value.get(key, 1), value) for key in KEYS)
    if min(step) < 0 or max(step) < 1:
        raise ValueError(f'step must be whole numbers of which one is above 0, got {value}')
    found: list[list[int]] = []
    while len(found) < LONGEST and all(here <= last for here, last in zip(start, stop, strict=True)):
        found.append(start)
        start = [here + more for here, more in zip(start, step, strict=True)]
    if not found:
        raise ValueError(f'start must not be larger than stop, got {value}')
    return found


def _triple(value: Any, whole: Any) -> list[int]:
    numbers = list(value) if isinstance(value, (list, tuple)) else [value] * 3
    if len(numbers) != 3 or not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise ValueError(f'a supercell is one whole number or three, got {whole}')
    return numbers
