"""A picture of a structure as SVG: shaded balls and the edges of the cell, what is near drawn over what is far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from aiida_mlip_autopipe.common.frames import FloatArray

RING: Final = 1.0
"""Å, radius of a ring around a defect."""

TURN: Final = math.radians(24.0)
"""By which the view is turned about z."""

RISE: Final = math.radians(14.0)
"""By which the view looks down."""

PALETTE: Final = ('#3f78b5', '#f08a24', '#4da24c', '#d9485b', '#8a63b0', '#2fa6a0', '#e3c12f', '#96694c')
"""Colours of the elements of a page in turn: the usual ones of Nb and Mo, or of Mg and Ca, cannot be told apart."""

BALL: Final = 0.55
"""Radius of a ball in covalent radii."""

EDGE_PIECES: Final = 12
"""Pieces of an edge of the cell, each behind or before the atoms on its own."""

FACE: Final = 0.04
"""Atoms as near to a face of the cell, in units of the lattice vector, are drawn on the opposite face too."""

MARGIN: Final = 0.6
"""Å around everything."""


@dataclass(frozen=True)
class Mark:
    """A place that a picture rings: an atom, or where one is missing.

    :param place: Å.
    """

    place: tuple[float, float, float]
    is_empty: bool = False


def picture(atoms: Atoms, name: str, marks: Sequence[Mark] = ()) -> str:
    """Return the SVG of a structure, 1 Å as the unit; the page that holds it defines the shading `z13` of element 13.

    :param name: what the picture is called where it cannot be seen.
    :param marks: places to ring, over everything else.
    """
    numbers, places = _with_faces(atoms)
    places = projected(places)
    radii = BALL * covalent_radii[numbers]
    corners = projected(np.array(list(itertools.product((0, 1), repeat=3))) @ atoms.cell.array)
    pieces = [(place[2], _ball(place, radius, z)) for place, radius, z in zip(places, radii, numbers.tolist(), strict=True)]
    pieces += [(0.5 * (a[2] + b[2]) - 1e-3, _line(a, b)) for a, b in _edges(atoms)]
    drawn = ''.join(text for _, text in sorted(pieces, key=lambda piece: piece[0])) + ''.join(_ring(mark) for mark in marks)
    low = np.minimum((places[:, :2] - radii[:, None]).min(axis=0), corners[:, :2].min(axis=0)) - MARGIN
    high = np.maximum((places[:, :2] + radii[:, None]).max(axis=0), corners[:, :2].max(axis=0)) + MARGIN
    box = f'{low[0]:.2f} {-high[1]:.2f} {high[0] - low[0]:.2f} {high[1] - low[1]:.2f}'
    return f'<svg viewBox="{box}" role="img" aria-label="{name}" xmlns="http://www.w3.org/2000/svg">{drawn}</svg>'


def projected(points: FloatArray) -> FloatArray:
    """Return points as seen, shape (n, 3): to the right, upwards, towards the viewer, Å."""
    x, y, z = np.asarray(points, dtype=np.float64).T
    right = math.cos(TURN) * x + math.sin(TURN) * y
    away = -math.sin(TURN) * x + math.cos(TURN) * y
    return np.column_stack([right, math.cos(RISE) * z + math.sin(RISE) * away, math.sin(RISE) * z - math.cos(RISE) * away])


def _with_faces(atoms: Atoms) -> tuple[np.ndarray, FloatArray]:
    """Return atomic numbers and positions of the atoms in the cell and of their images on opposite faces."""
    scaled = atoms.get_scaled_positions(wrap=True)
    numbers, places = [], []
    for number, site in zip(atoms.numbers.tolist(), scaled, strict=True):
        ways = [(0, *((1,) if s < FACE else ()), *((-1,) if s > 1.0 - FACE else ())) for s in site]
        for shift in itertools.product(*ways):
            numbers.append(number)
            places.append(site + shift)
    return np.array(numbers), np.array(places) @ atoms.cell.array


def _edges(atoms: Atoms) -> list[tuple[FloatArray, FloatArray]]:
    """Return the pieces of the twelve edges of the cell, as seen."""
    pieces = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        for ends in itertools.product((0.0, 1.0), repeat=2):
            line = np.zeros((EDGE_PIECES + 1, 3))
            line[:, axis] = np.linspace(0.0, 1.0, EDGE_PIECES + 1)
            line[:, others] = ends
            points = projected(line @ atoms.cell.array)
            pieces += list(itertools.pairwise(points))
    return pieces


def _ball(place: FloatArray, radius: float, number: int) -> str:
    what = f'<title>{chemical_symbols[number]}</title>'
    return f'<circle cx="{place[0]:.2f}" cy="{-place[1]:.2f}" r="{radius:.2f}" fill="url(#z{number})">{what}</circle>'


def _line(first: FloatArray, second: FloatArray) -> str:
    return f'<path d="M{first[0]:.2f} {-first[1]:.2f}L{second[0]:.2f} {-second[1]:.2f}"/>'


def _ring(mark: Mark) -> str:
    place = projected(np.array([mark.place]))[0]
    kind = 'empty' if mark.is_empty else 'here'
    return f'<circle class="{kind}" cx="{place[0]:.2f}" cy="{-place[1]:.2f}" r="{RING}"/>'
