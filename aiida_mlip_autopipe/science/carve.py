"""A periodic cell of DFT size cut out of a large one around the atom whose environment a potential does not know."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from scipy.spatial import cKDTree

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, IntArray

MIN_BOND: Final = 0.7
"""Shortest distance across the new boundary in sums of covalent radii; bonds of solids near melting seldom fall below it."""

LENGTH_STEP: Final = 0.15
"""Å between two lengths of an edge that are tried."""

MARGIN: Final = 4.0
"""Å around the sample within which the atom nearest to a moved one is looked for."""

SLIVER: Final = 1.5
"""Å; an edge is shortened by at least that much, or not at all."""

OFFSETS: Final = 21
"""Places of the window along an edge that are tried for each length."""

SAMPLE: Final = 100
"""Atoms nearest to the centre on which a translation is tried."""

TRIALS: Final = 60
"""Cells that are cut and checked before the carving is given up."""


@dataclass(frozen=True, eq=False)
class Carved:
    """A cell that was cut out.

    :param atoms: the cell, periodic, at the places that the atoms have around the centre, wrapped into it.
    :param indices: its atoms as places in the large cell, rising, shape (n_atoms,).
    :param centre: place of the uncertain atom among them.
    :param boundary: shortest distance across the new boundary in sums of covalent radii; infinite where no axis was cut.
    """

    atoms: Atoms
    indices: IntArray
    centre: int
    boundary: float


@dataclass(frozen=True)
class _Window:
    """A part of an edge of the cell: what the translation by its length does to the structure, and where it begins."""

    mismatch: float
    share: float
    start: float


def carve(atoms: Atoms, centre: int, *, cutoff: float, max_atoms: int, min_bond: float = MIN_BOND) -> Carved:
    """Return a periodic cell of at most `max_atoms` atoms in which the surroundings of one atom are unchanged.

    The cell has the edges a_i of the large one, each shortened by a share s_i. Along a shortened edge it is at least twice the
    cutoff thick and holds the whole sphere of radius `cutoff` around the centre, so that the atoms within the cutoff of the
    centre, their images included, are those of the large cell. Any quantity of the centre that depends on them alone, as the
    extrapolation grade of ACE and POD does, keeps its value. Lengths are preferred by which translation maps the structure best
    on itself (repeats of a crystal lattice), windows by which has its faces between the atoms; the first one, in this order,
    whose atoms do not overlap across the new boundary is taken. There is no randomness.

    Limits: atoms farther from the centre than `cutoff` may have new neighbours across the boundary, so their grades and forces
    are those of another structure. In a liquid or a glass no translation fits: gaps of atomic size can stay at the boundary,
    only overlaps are refused. The cell keeps the angles of the large one. Order among the elements is cut without regard.

    :param atoms: periodic in three directions.
    :param centre: index of the uncertain atom.
    :param cutoff: Å, range of the potential.
    :param max_atoms: largest number of atoms of the result.
    :param min_bond: shortest distance allowed across the new boundary, in sums of covalent radii.
    :raises InputError: no such cell has so few atoms, or all of them have an overlap at the boundary.
    """
    if not atoms.pbc.all() or abs(atoms.cell.volume) == 0.0:
        raise InputError(f'structure {atoms.symbols} is not periodic in three directions: pbc {atoms.pbc.tolist()}')
    if not 0 <= centre < len(atoms):
        raise InputError(f'atom {centre} is none of the {len(atoms)} atoms of {atoms.symbols}')
    scaled = atoms.cell.scaled_positions(atoms.positions)
    scaled = (scaled - scaled[centre] + 0.5) % 1.0 - 0.5  # around the centre, in -1/2 .. 1/2
    edges = [_windows(atoms.cell.array, scaled, axis, cutoff) for axis in range(3)]
    tried, shortest = 0, 0.0
    for windows in _combinations(edges, len(atoms), max_atoms):
        indices = np.flatnonzero(_inside(scaled, windows))
        if len(indices) > max_atoms:
            continue
        found = _cut(atoms, scaled, indices, windows, centre, min_bond)
        if found.boundary >= min_bond:
            return found
        tried, shortest = tried + 1, max(shortest, found.boundary)
        if tried == TRIALS:
            break
    least = len(atoms) * float(np.prod([min(window.share for window in edge) for edge in edges]))
    if not tried:
        raise InputError(
            f'max_atoms: got {max_atoms}; a cell that holds the sphere of {cutoff:g} Å around an atom needs about {least:.0f}'
        )
    raise InputError(
        f'none of {tried} cells of at most {max_atoms} atoms around atom {centre} fits together at its boundary: '
        f'the best has a bond of {shortest:.2f} sums of covalent radii, expected at least {min_bond:g}'
    )


def _windows(cell: FloatArray, scaled: FloatArray, axis: int, cutoff: float) -> list[_Window]:
    """Return the windows along an edge, the whole edge first: it is what periodicity gives without any cut."""
    edge = cell[axis]
    height = abs(np.linalg.det(cell)) / np.linalg.norm(np.cross(cell[axis - 2], cell[axis - 1]))
    least = 2.0 * cutoff / height
    windows = [_Window(0.0, 1.0, -0.5)]
    if least >= 1.0:
        return windows
    length = float(np.linalg.norm(edge))
    # A cell without its last sliver looks like a repeat of itself, but is only a strained copy of the whole.
    shares = np.arange(least, 1.0 - SLIVER / length, LENGTH_STEP / length)
    if not len(shares):
        return windows
    mismatches = _mismatches(cell, scaled, edge, shares)
    for share, mismatch in zip(shares.tolist(), mismatches.tolist(), strict=True):
        windows.append(_Window(mismatch, share, _best_start(scaled[:, axis], share, cutoff / height)))
    return windows


def _mismatches(cell: FloatArray, scaled: FloatArray, edge: FloatArray, shares: FloatArray) -> FloatArray:
    """Return for each share s the mean square distance (Å²) from r_k + s a to the nearest atom, over atoms k near the centre."""
    places = scaled @ cell
    near = places[np.argsort((places**2).sum(axis=1), kind='stable')[:SAMPLE]]
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=np.float64) @ cell
    targets = (places[None, :, :] + images[:, None, :]).reshape(-1, 3)
    along = np.clip(targets @ edge / (edge @ edge), 0.0, 1.0)
    reach = float(np.linalg.norm(near[-1])) + MARGIN
    tree = cKDTree(targets[((targets - along[:, None] * edge) ** 2).sum(axis=1) < reach**2])
    moved = near[None, :, :] + shares[:, None, None] * edge
    distances, _ = tree.query(moved.reshape(-1, 3))
    return (np.reshape(distances, (len(shares), -1)) ** 2).mean(axis=1)


def _best_start(places: FloatArray, share: float, reach: float) -> float:
    """Return where a window begins so that the atoms nearest to its faces are far from them and from each other's images.

    :param places: along the edge, the centre at 0, in -1/2 .. 1/2.
    :param share: length of the window in units of the edge.
    :param reach: cutoff in the same units; the window must hold -reach .. reach.
    """
    starts = np.linspace(reach - share, -reach, OFFSETS)
    gaps = []
    for start in starts:
        to_face = np.concatenate([places - start, places - start - share])
        to_face -= np.round(to_face)
        gaps.append(np.abs(to_face).min())
    middle = np.abs(starts + share / 2)
    return float(starts[np.lexsort((middle, -np.round(gaps, 6)))[0]])


def _combinations(edges: list[list[_Window]], n_atoms: int, max_atoms: int) -> list[tuple[_Window, ...]]:
    """Return the windows of the three edges that may hold few enough atoms: the best match first, then the largest cell."""
    shares = [np.array([window.share for window in edge]) for edge in edges]
    errors = [np.array([window.mismatch for window in edge]) for edge in edges]
    volume = shares[0][:, None, None] * shares[1][None, :, None] * shares[2][None, None, :]
    error = errors[0][:, None, None] + errors[1][None, :, None] + errors[2][None, None, :]
    # Counts differ from the mean density by a layer of atoms; what is really too large is left out when it was cut.
    fits = np.flatnonzero(volume.ravel() * n_atoms <= max_atoms * 1.1)
    order = fits[np.lexsort((-np.round(volume.ravel()[fits], 9), np.round(error.ravel()[fits], 3)))]
    places = np.array(np.unravel_index(order[: 10 * TRIALS], volume.shape)).T
    return [tuple(edge[place] for edge, place in zip(edges, row, strict=True)) for row in places]


def _inside(scaled: FloatArray, windows: tuple[_Window, ...]) -> BoolArray:
    starts = np.array([window.start for window in windows])
    shares = np.array([window.share for window in windows])
    return np.asarray(((scaled - starts) % 1.0 < shares).all(axis=1))


def _cut(
    atoms: Atoms, scaled: FloatArray, indices: IntArray, windows: tuple[_Window, ...], centre: int, min_bond: float
) -> Carved:
    cell = atoms.cell.array
    starts = np.array([window.start for window in windows])
    small = Atoms(
        numbers=atoms.numbers[indices],
        positions=((scaled[indices] - starts) % 1.0) @ cell,
        cell=cell * np.array([window.share for window in windows])[:, None],
        pbc=True,
    )
    is_cut = np.array([window.share < 1.0 for window in windows])
    place = int(np.flatnonzero(indices == centre)[0])
    return Carved(small, indices, place, _across(small, is_cut, min_bond))


def _across(atoms: Atoms, is_cut: BoolArray, min_bond: float) -> float:
    """Return the shortest distance between an atom and an image over a face that was cut, in sums of covalent radii.

    Pairs beyond `min_bond` are not looked for: infinite when there is none within it.
    """
    radii = covalent_radii[atoms.numbers]
    first, second, distances, images = neighbor_list('ijdS', atoms, 2.0 * min_bond * float(radii.max()))
    new = (images[:, is_cut] != 0).any(axis=1)
    shortest = distances[new] / (radii[first[new]] + radii[second[new]])
    return float(shortest.min()) if len(shortest) else np.inf
