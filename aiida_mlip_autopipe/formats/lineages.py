"""Lineages of frames that come from elsewhere without: those of one trajectory, or of one crystal, belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, uid_of

LINDEMANN: Final = 0.1
"""Root mean square displacement of the atoms of a crystal at its melting point in units of the distance of neighbours
(Lindemann, Phys. Z. 11, 609, 1910). Two frames of one crystal differ by √2 of it at the most, independent ones by far more."""

NEIGHBOUR: Final = 2.0 ** (1.0 / 6.0)
"""Distance of neighbours in a close-packed crystal in units of the cube root of the volume of an atom."""


def set_lineages(structures: Sequence[Atoms]) -> None:
    """Give each structure of a file that has no lineage that of what it belongs to, in `info`; see :func:`told_lineages`.

    :raises InvalidFramesError: lattice vectors are linearly dependent.
    """
    for atoms, lineage in zip(structures, told_lineages(structures), strict=True):
        atoms.info['lineage'] = lineage


def told_lineages(structures: Sequence[Atoms]) -> list[str]:
    """Return the lineage of each structure of a file: its own where it has one, else that of what it belongs to.

    It belongs to the structure before it where both have the same atoms in the same order and the same config_type: such are
    steps of a trajectory, or distortions of one crystal. Else it belongs to an earlier one with the same atoms in the same order
    that it lies nearer to than independent draws would, as in a file of interleaved trajectories. Otherwise it is a root.
    """
    found: list[str] = []
    groups: dict[bytes, dict[str, list[Atoms]]] = {}
    for index, atoms in enumerate(structures):
        uid = str(atoms.info.get('uid') or uid_of(atoms))
        lineage = str(atoms.info.get('lineage') or '')
        if lineage or atoms.info.get('config_type') == ISOLATED_ATOM:
            found.append(lineage or uid)
            continue
        families = groups.setdefault(atoms.numbers.tobytes() + atoms.pbc.tobytes(), {})
        if index and _is_next(structures[index - 1], atoms) and found[-1] in families:
            lineage = found[-1]
        else:
            near = (name for name, ends in families.items() if any(_are_near(end, atoms) for end in ends))
            lineage = next(near, uid)
        families[lineage] = [*families.get(lineage, [atoms])[:1], atoms]
        found.append(lineage)
    return found


def _is_next(before: Atoms, atoms: Atoms) -> bool:
    kinds = {str(one.info.get('config_type', '')) for one in (before, atoms)}
    return len(kinds) == 1 and np.array_equal(before.numbers, atoms.numbers) and bool((before.pbc == atoms.pbc).all())


def _are_near(first: Atoms, second: Atoms) -> bool:
    """Return whether atoms vibrate about the same sites, the shape of the cell and a common shift apart."""
    if not first.pbc.all() or abs(first.cell.volume) < 1e-6 or abs(second.cell.volume) < 1e-6:
        return False
    scaled = np.linalg.solve(second.cell.array.T, second.positions.T).T - np.linalg.solve(first.cell.array.T, first.positions.T).T
    shift = scaled - scaled[0]
    shift -= np.rint(shift)
    moved = (shift - shift.mean(axis=0)) @ second.cell.array
    reach = NEIGHBOUR * (abs(second.cell.volume) / len(second)) ** (1.0 / 3.0)
    return float(np.sqrt((moved * moved).sum(axis=1).mean())) < np.sqrt(2.0) * LINDEMANN * reach
