"""Start structures of an exploration: the undistorted bases of the training lineages."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import Frames, uid_of


def start_structures(
    frames: Frames, *, bases: Frames | None = None, count: int, supercell: tuple[int, int, int], rng: np.random.Generator
) -> Frames:
    """Return up to `count` start structures without labels: every lineage gives one before a lineage gives a second.

    A lineage gives the structure that all others of it descend from, whether it was labelled or not; where that is unknown,
    and for further starts, its frames in their order.

    :param frames: of the training set, in the order they were made.
    :param bases: structures among which the roots of the lineages are looked for, or None.
    :param supercell: repeats of each start along its lattice vectors.
    :param rng: decides the order of the lineages.
    """
    queues: dict[str, list[Atoms]] = {}
    for index, lineage in enumerate(frames.lineage.tolist()):
        queues.setdefault(lineage, []).append(frames.atoms(index))
    roots = _roots(frames if bases is None else Frames.concatenate([frames, bases]))
    for lineage, queue in queues.items():
        if lineage in roots:
            queue[:] = [roots[lineage], *(atoms for atoms in queue if atoms.info['uid'] != lineage)]
    order = [list(queues)[i] for i in rng.permutation(len(queues))]
    depth = max((len(queue) for queue in queues.values()), default=0)
    ranked = [queues[name][level] for level in range(depth) for name in order if level < len(queues[name])]
    return Frames.from_atoms([_as_start(atoms, supercell) for atoms in ranked[:count]])


def _roots(frames: Frames) -> dict[str, Atoms]:
    """Return the structures that are the root of their own lineage, by its name."""
    places = np.flatnonzero(frames.uid == frames.lineage)
    return {str(frames.uid[index]): frames.atoms(int(index)) for index in places}


def _as_start(atoms: Atoms, supercell: tuple[int, int, int]) -> Atoms:
    start = atoms.copy()
    start.calc = None
    if supercell != (1, 1, 1):
        start = start.repeat(supercell)
        start.info = {**atoms.info, 'parent': atoms.info['uid'], 'uid': uid_of(start)}
    for name in ('fingerprint', 'label_uuid'):
        start.info.pop(name, None)
    return start
