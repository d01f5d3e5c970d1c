"""Names of crystals, by which a configuration and a report speak of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ase.formula import Formula

from aiida_mlip_autopipe.common.prototypes import ON_LATTICE, PROTOTYPES

FORMULA_ORDER = 'hill'
"""How ASE writes a formula: carbon and hydrogen first, the others by the alphabet."""


def crystal_formula(prototype: str, elements: Sequence[str]) -> str:
    """Return the formula of a prototype, such as `Al` or `AlNi3`.

    :param elements: chemical symbol of each sublattice.
    """
    symbols = [elements[index] for index in PROTOTYPES[prototype].sublattices]
    reduced, _ = Formula.from_list(symbols).reduce()
    return str(reduced.format(FORMULA_ORDER))


def ordered_name(prototype: str, elements: Sequence[str]) -> str:
    """Return the name of an ordered compound on the lattice of an alloy, such as `L1_2 AlNi3`."""
    return f'{prototype} {crystal_formula(prototype, elements)}'


def file_name(path: str) -> str:
    """Return the name of the crystal of a file: that of the file without its endings."""
    return PurePath(path).name.partition('.')[0]


def pure_occupation(parts: Sequence[Mapping[str, float]]) -> list[str] | None:
    """Return the element of each sublattice, or None for an alloy, in which a sublattice has several."""
    present = [[element for element, fraction in part.items() if fraction > 0] for part in parts]
    return [names[0] for names in present] if all(len(names) == 1 for names in present) else None


def system_crystals(system: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the crystals of a system that have one element on each sublattice: name and those elements.

    :param system: fields of `TargetSystem`.
    """
    alloys = system['occupations'] or [[composition] for composition in system['compositions']]
    pure = [elements for parts in alloys if (elements := pure_occupation(parts)) is not None]
    return {crystal_formula(system['prototype'], elements): elements for elements in pure}


def ordered_crystals(system: Mapping[str, Any], generate: Mapping[str, Any]) -> dict[str, tuple[str, tuple[str, str]]]:
    """Return the ordered compounds that a configuration generates: name, prototype and the elements of its two sublattices."""
    ordered = generate.get('ordered')
    if not ordered:
        return {}
    prototypes: Iterable[str] = ordered['prototypes'] or ON_LATTICE.get(system['prototype'], ())
    elements = system['elements']
    found: dict[str, tuple[str, tuple[str, str]]] = {}
    for prototype in prototypes:
        for first in elements:
            for second in elements:
                if first != second:
                    found.setdefault(ordered_name(prototype, (first, second)), (prototype, (first, second)))
    return found


def file_crystals(generate: Mapping[str, Any]) -> dict[str, str]:
    """Return the crystals that a configuration reads from files: name and path."""
    files = generate.get('files') or {}
    return {file_name(path): path for path in files.get('paths', ())}


def crystal_names(system: Mapping[str, Any], generate: Mapping[str, Any]) -> list[str]:
    """Return the names of all crystals among the bases of a configuration: those of the system first."""
    return list({**system_crystals(system), **ordered_crystals(system, generate), **file_crystals(generate)})
