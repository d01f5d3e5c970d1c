"""The verdict: one row for each quantity of each crystal, potential against reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.plan import EOS, EXPANSION, PHONONS, Found, properties_at_rest, rest_property
from aiida_mlip_autopipe.science.properties.quantity import Limit, Property, Quantity, Result

EXPANSION_UNIT = '1/K'
ALPHA = 'alpha'

DEGENERATE = 0.01
"""THz, difference below which two branches count as one: symmetry makes them equal, finite displacements nearly so."""


@dataclass(frozen=True)
class Row:
    """One quantity.

    :param property: section of the configuration.
    :param potential: value by the potential, or None where there is none.
    :param reference: likewise by the labeller.
    :param error: potential minus reference.
    :param threshold: largest size of the error.
    :param passed: None where nothing can be compared and nothing is asked for.
    :param note: why a value is missing, or nothing.
    """

    crystal: str
    property: str
    quantity: str
    unit: str
    potential: float | None = None
    reference: float | None = None
    error: float | None = None
    threshold: float | None = None
    passed: bool | None = None
    note: str = ''

    def to_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, eq=False)
class Method:
    """One of the two that are compared.

    :param name: for messages.
    :param crystals: at the equilibrium of the method, by their names; those without one are missing.
    :param found: results of all structures.
    """

    name: str
    crystals: Mapping[str, Crystal]
    found: Found


def crystals_at_rest(crystals: Sequence[Crystal], found: Found, settings: Mapping[str, Any]) -> list[Crystal]:
    """Return those crystals that have an equilibrium, in its size."""
    eos, rested = rest_property(settings), []
    for crystal in crystals:
        try:
            rested.append(crystal.at_volume(eos.rest(_complete(eos, crystal, found, EOS)).volume))
        except InputError:  # the rows say why: they ask again
            continue
    return rested


def property_rows(
    names: Sequence[str], crystals: Sequence[Crystal], methods: tuple[Method, Method], settings: Mapping[str, Any]
) -> list[Row]:
    """Return the rows of all crystals.

    :param names: sections of the configuration to tell, in order.
    :param crystals: as the configuration has them, from which the volumes are counted.
    :param methods: the potential, then the reference.
    :param settings: fields of `PropertiesConfig`.
    """
    asked: dict[str, Property] = {EOS: rest_property(settings), **properties_at_rest(settings)}
    rows: list[Row] = []
    for crystal in crystals:
        for name in names:
            if asked[name].applies(crystal):
                rows += _rows(name, asked[name], crystal, methods)
    return _with_degenerate_branches_once(rows)


def _with_degenerate_branches_once(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, those of phonons that both methods have at the same frequency as one: `f1-2(0.5 0.5 0)`."""
    kept: list[Row] = []
    for row in rows:
        last = kept[-1] if kept else None
        if last is None or not _is_degenerate(last, row):
            kept.append(row)
            continue
        (first, _), (number, point) = (one.quantity.removeprefix('f').split('(') for one in (last, row))
        kept[-1] = dataclasses.replace(last, quantity=f'f{first.partition("-")[0]}-{number}({point}')
    return kept


def _is_degenerate(one: Row, other: Row) -> bool:
    if _place(one) is None or _place(one) != _place(other):
        return False
    pairs = ((one.potential, other.potential), (one.reference, other.reference))
    return all(a is not None and b is not None and abs(a - b) < DEGENERATE for a, b in pairs)


def _place(row: Row) -> tuple[str, str] | None:
    """Return crystal and q-point of a phonon; None for other rows, and for the one that says that there is none."""
    _, _, point = row.quantity.partition('(')
    return (row.crystal, point) if row.property == PHONONS and point else None


def _rows(name: str, asked: Property, crystal: Crystal, methods: tuple[Method, Method]) -> list[Row]:
    values: list[dict[str, Quantity]] = []
    notes: list[str] = []
    for method in methods:
        try:
            values.append(_quantities(name, asked, crystal, method))
        except InputError as error:
            values.append({})
            notes.append(f'{method.name}: {error}')
    quantities = list({**values[1], **values[0]}.values())
    if not quantities:
        return [Row(crystal.name, name, name, '', passed=False, note='; '.join(notes))]
    return [
        _row((crystal.name, name), q, values[0].get(q.name), values[1].get(q.name), asked.limit(q), '; '.join(notes))
        for q in quantities
    ]


def _quantities(name: str, asked: Property, crystal: Crystal, method: Method) -> dict[str, Quantity]:
    base = crystal if name == EOS else method.crystals.get(crystal.name)
    if base is None:
        raise InputError('the crystal has no equilibrium there')
    return {q.name: q for q in asked.quantities(base, _complete(asked, base, method.found, name))}


def _complete(asked: Property, crystal: Crystal, found: Found, name: str) -> dict[str, Result]:
    """Return the results of all parts.

    :raises InputError: one is missing.
    """
    parts = found.get(crystal.name, {}).get(name, {})
    wanted = list(asked.frames(crystal))
    if missing := [part for part in wanted if part not in parts]:
        raise InputError(f'{len(missing)} of {len(wanted)} structures have no result, the first is {missing[0]}')
    return {part: parts[part] for part in wanted}


def _row(place: tuple[str, str], q: Quantity, ours: Quantity | None, theirs: Quantity | None, limit: Limit, note: str) -> Row:
    potential, reference = (None if value is None else value.value for value in (ours, theirs))
    if potential is None or reference is None:
        return Row(*place, q.name, q.unit, potential, reference, passed=False, note=note)
    error, allowed = potential - reference, limit.allowed(reference)
    return Row(*place, q.name, q.unit, potential, reference, error, allowed, abs(error) <= allowed)


def expansion_rows(crystal: str, volumes: Mapping[float, float], reference: float | None, relative: float) -> list[Row]:
    """Return the mean volumes of MD at constant pressure, and the linear coefficient alpha = d ln V / dT / 3, a slope over them.

    :param volumes: Å³/atom by temperature (K), at least two.
    :param reference: 1/K, or None.
    :param relative: largest relative error of alpha.
    """
    rows = [Row(crystal, EXPANSION, f'V({temperature:g} K)', 'Å³/atom', volume) for temperature, volume in volumes.items()]
    slope = np.polynomial.Polynomial.fit(list(volumes), np.log(list(volumes.values())), 1).convert().coef
    alpha = float(slope[1] / 3.0) if len(slope) > 1 else 0.0
    if reference is None:
        return [*rows, Row(crystal, EXPANSION, ALPHA, EXPANSION_UNIT, alpha, note='no reference is given')]
    value, other = (Quantity(ALPHA, number, EXPANSION_UNIT) for number in (alpha, reference))
    return [*rows, _row((crystal, EXPANSION), value, value, other, Limit(relative=relative), '')]


def verdict(rows: Sequence[Row]) -> bool:
    """Return whether every quantity that can be judged passed, and at least one was judged."""
    judged = [row.passed for row in rows if row.passed is not None]
    return bool(judged) and all(judged)


def eos_curves(methods: tuple[Method, Method]) -> dict[str, dict[str, list[list[float]]]]:
    """Return the equations of state as curves: by crystal and method volumes (Å³/atom) and energies (eV/atom)."""
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for method in methods:
        for crystal, found in method.found.items():
            results = found.get(EOS, {}).values()
            points = sorted((r.atoms.cell.volume / len(r.atoms), r.energy / len(r.atoms)) for r in results)
            curves.setdefault(crystal, {})[method.name] = [list(map(float, point)) for point in points]
    return curves
