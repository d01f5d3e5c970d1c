"""Compositions as fractions per element and the whole numbers of atoms they give on a lattice."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ase.data import atomic_numbers

from aiida_mlip_autopipe.common.errors import InputError

FRACTION_TOLERANCE = 1e-6
"""How far a fraction may lie from a whole number of atoms divided by the number of sites: six digits typed by hand pass."""

SUM_TOLERANCE = 1e-5
"""How far the fractions may add up beside 1: wide enough for a handful of fractions of six digits."""


def whole_counts(composition: Mapping[str, float], n_sites: int) -> dict[str, int]:
    """Return the number of atoms of each element on `n_sites` sites; elements of fraction 0 are left out.

    :param composition: fraction of each element, in 0..1, adding up to 1.
    :param n_sites: lattice sites of the cell, at least 1.
    :raises InputError: the composition is not one, or does not give whole numbers; the text proposes one that does.
    """
    check_composition(composition)
    if n_sites < 1:
        raise InputError(f'the number of lattice sites must be at least 1, got {n_sites}')
    counts = {element: round(fraction * n_sites) for element, fraction in composition.items()}
    exact = all(abs(composition[element] - count / n_sites) <= FRACTION_TOLERANCE for element, count in counts.items())
    if not exact or sum(counts.values()) != n_sites:
        raise InputError(
            f'composition {dict(composition)} does not give whole numbers of atoms on {n_sites} sites; '
            f'the nearest that does is {nearest_composition(composition, n_sites)}'
        )
    return {element: count for element, count in counts.items() if count}


def nearest_composition(composition: Mapping[str, float], n_sites: int) -> dict[str, float]:
    """Return the composition of whole atoms that is nearest in the least-squares sense, rounded to six digits.

    Each element of the composition keeps at least one atom when there are sites enough. The answer passes
    :func:`whole_counts` on the same number of sites.

    :param composition: fraction of each element, in 0..1, adding up to 1.
    :param n_sites: lattice sites of the cell, at least 1.
    :raises InputError: the composition is not one.
    """
    check_composition(composition)
    present = {element: fraction for element, fraction in composition.items() if fraction > 0}
    counts = dict.fromkeys(present, int(len(present) <= n_sites))
    while sum(counts.values()) < n_sites:
        neediest = max(counts, key=lambda element: present[element] * n_sites - counts[element])
        counts[neediest] += 1
    return {element: round(count / n_sites, 6) for element, count in counts.items() if count}


def check_composition(composition: Mapping[str, float]) -> None:
    """Refuse what is not a composition.

    :param composition: fraction of each element.
    :raises InputError: it is empty, names an unknown element, has a fraction outside 0..1, or does not add up to 1.
    """
    if not composition:
        raise InputError('a composition needs at least one element')
    for element, fraction in composition.items():
        if element not in atomic_numbers or element == 'X':
            raise InputError(f'composition {dict(composition)}: {element!r} is not the symbol of an element')
        if not 0.0 <= fraction <= 1.0:
            raise InputError(f'composition {dict(composition)}: the fraction of {element} must lie in 0..1, got {fraction}')
    total = math.fsum(composition.values())
    if abs(total - 1.0) > SUM_TOLERANCE:
        raise InputError(f'composition {dict(composition)}: the fractions must add up to 1, got {total:.6g}')
