"""Whether two atoms repel each other below the shortest distance that was trained on.

A lone pair of atoms cannot be asked: `pair_style pod` ends the process on it, and a collision in molecular dynamics happens
inside of matter anyway. So the training frame in which a pair of elements is closest is repeated until the two atoms do not
feel their own images. Then they are moved towards each other along their line, each by the same amount, with all other atoms at
rest. The energy must rise all the way. A pair of elements that are never neighbours in the training set replaces the two
closest atoms of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.science.checks.finding import Finding

PREFIX = 'wall_'


@dataclass(frozen=True, eq=False)
class Contact:
    """Two close atoms in a frame.

    :param distance: Å.
    :param frame: row of the frame.
    :param first: atom; `second` likewise.
    :param offset: lattice vectors between the cell of the first atom and the image of the second, shape (3,).
    """

    distance: float
    frame: int
    first: int
    second: int
    offset: IntArray


@dataclass(frozen=True, eq=False)
class WallPath:
    """Structures in which two atoms come closer.

    :param pair: their elements.
    :param distances: Å, falling from the shortest training distance, shape (n_points,).
    :param structures: one for each distance.
    :param is_trained: whether the training set holds this pair as neighbours.
    """

    pair: tuple[str, str]
    distances: FloatArray
    structures: list[Atoms]
    is_trained: bool


def wall_paths(frames: Frames, elements: Sequence[str], *, cutoff: float, depth: float, n_points: int) -> list[WallPath]:
    """Return a path for each pair of elements; none where no two atoms of the training set are neighbours.

    :param frames: the training set.
    :param cutoff: Å, range of the potential.
    :param depth: share of the shortest distance at which the path ends.
    """
    contacts = closest_contacts(frames, cutoff)
    if not contacts:
        return []
    closest = min(contacts.values(), key=lambda contact: contact.distance)
    shares = np.linspace(1.0, depth, n_points)
    paths = []
    for pair in combinations_with_replacement(elements, 2):
        own = contacts.get(_key(pair))
        contact = closest if own is None else own
        structures = _approach(frames.atoms(contact.frame), contact, pair, shares, cutoff)
        paths.append(WallPath(pair, shares * contact.distance, structures, own is not None))
    return paths


def closest_contacts(frames: Frames, cutoff: float) -> dict[tuple[str, ...], Contact]:
    """Return the closest atoms of each pair of elements that are neighbours within `cutoff` (Å) in some frame."""
    found: dict[tuple[str, ...], Contact] = {}
    for index, atoms in enumerate(frames):
        first, second, distances, offsets = neighbor_list('ijdS', atoms, cutoff)
        numbers = np.sort(np.column_stack([atoms.numbers[first], atoms.numbers[second]]), axis=1)
        order = np.argsort(distances, kind='stable')
        _, places = np.unique(numbers[order], axis=0, return_index=True)  # the first, so the closest, of each pair
        for row in order[places]:
            key = _key((atoms.symbols[int(first[row])], atoms.symbols[int(second[row])]))
            if key not in found or distances[row] < found[key].distance:
                found[key] = Contact(float(distances[row]), index, int(first[row]), int(second[row]), offsets[row])
    return found


def wall_finding(path: WallPath, energies: FloatArray, *, limit: float) -> Finding:
    """Return the finding on one pair: the largest fall of the energy below what it had at a larger distance, eV.

    :param energies: eV, one for each distance of the path.
    """
    falls = np.maximum.accumulate(energies) - energies
    worst = int(np.argmax(np.where(np.isnan(falls), np.inf, falls)))
    name, (start, *_, end) = '-'.join(path.pair), path.distances
    source = (
        'the shortest in the training set' if path.is_trained else 'the shortest of any pair; this one is not in the training set'
    )
    if falls[worst] <= limit:
        message = f'the energy of a pair {name} rises by {energies[-1] - energies[0]:.3g} eV from {start:.2f} Å to {end:.2f} Å'
    else:
        message = (
            f'the energy of a pair {name} falls by {falls[worst]:.3g} eV on the way from {start:.2f} Å ({source}) to '
            f'{path.distances[worst]:.2f} Å, at most {limit:g} eV are allowed: nothing keeps these atoms apart'
        )
    return Finding.at_most(f'{PREFIX}{name}', float(falls[worst]), limit, 'eV', message)


def _key(pair: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(str(element) for element in pair))


def _approach(atoms: Atoms, contact: Contact, pair: tuple[str, str], shares: FloatArray, cutoff: float) -> list[Atoms]:
    """Return the structures along the path: x1 + (1 - s) d / 2 and x2 - (1 - s) d / 2, d the vector between the atoms."""
    between = atoms.positions[contact.second] + contact.offset @ atoms.cell.array - atoms.positions[contact.first]
    host = _large_enough(atoms, cutoff + contact.distance)
    places = host.cell.scaled_positions(host.positions - atoms.positions[contact.first] - between)
    partner = int(np.argmin(np.linalg.norm((places - np.rint(places)) @ host.cell.array, axis=1)))
    if _key(pair) != _key((host.symbols[contact.first], host.symbols[partner])):
        host.symbols[contact.first], host.symbols[partner] = pair
    structures = []
    for share in shares:
        moved = host.copy()
        moved.positions[contact.first] += (1 - share) / 2 * between
        moved.positions[partner] -= (1 - share) / 2 * between
        structures.append(moved)
    return structures


def _large_enough(atoms: Atoms, width: float) -> Atoms:
    """Return the structure repeated until it is `width` (Å) wide between each pair of opposite faces."""
    heights = 1 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    plain = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    return plain.repeat(np.maximum(1, np.ceil(width / heights)).astype(int))
