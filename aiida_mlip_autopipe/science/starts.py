"""Start structures of an exploration, chosen from the frames that are labelled."""

from __future__ import annotations

import numpy as np

from aiida_mlip_autopipe.common.frames import Frames, uid_of


def start_structures(frames: Frames, *, count: int, supercell: tuple[int, int, int], rng: np.random.Generator) -> Frames:
    """Return up to `count` start structures without labels: every lineage gives one before a lineage gives a second.

    Of each lineage the first frame comes first (the structure that the others descend from, where it is labelled).

    :param frames: candidates, in the order they were made.
    :param supercell: repeats of each start along its lattice vectors.
    :param rng: decides the order of the lineages.
    """
    queues: dict[str, list[int]] = {}
    for index, lineage in enumerate(frames.lineage.tolist()):
        queues.setdefault(lineage, []).append(index)
    order = [list(queues)[i] for i in rng.permutation(len(queues))]
    depth = max((len(queue) for queue in queues.values()), default=0)
    ranked = [queues[name][level] for level in range(depth) for name in order if level < len(queues[name])]
    starts = []
    for index in ranked[:count]:
        atoms = frames.atoms(index)
        atoms.calc = None
        if supercell != (1, 1, 1):
            info = dict(atoms.info)
            atoms = atoms.repeat(supercell)
            atoms.info = {**info, 'parent': info['uid'], 'uid': uid_of(atoms)}
        for name in ('fingerprint', 'label_uuid'):
            atoms.info.pop(name, None)
        starts.append(atoms)
    return Frames.from_atoms(starts)
