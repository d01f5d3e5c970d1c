"""Calcfunctions that choose, merge and split frames: each unpacks, calls one function of the pure layers, and packs."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.generate.isolated import isolated_atoms
from aiida_mlip_autopipe.science.split import lineage_split
from aiida_mlip_autopipe.science.starts import start_structures

NO_SPLIT = 410
"""Exit status of a split that cannot be made."""


@calcfunction
def gather_frames(
    pool: FramesData | None = None,
    selection: orm.ArrayData | None = None,
    test: FramesData | None = None,
    elements: orm.List | None = None,
    box: orm.Float | None = None,
) -> FramesData:
    """Return all that a round labels, in one node: isolated atoms, what a selection names of a pool, and frames of the test set.

    :param elements: of the isolated atoms; None for none.
    :param box: Å, edge of their cubic boxes.
    """
    parts = []
    if elements is not None and box is not None:
        parts.append(Frames.from_atoms(isolated_atoms(elements.get_list(), box.value)))
    if pool is not None and selection is not None:
        parts.append(pool.frames.take(selection.get_array('indices')))
    if test is not None:
        parts.append(test.frames)
    return FramesData(Frames.concatenate(parts))


@calcfunction
def merge_frames(**parts: FramesData) -> FramesData:
    """Return all frames, the parts in the order of their names."""
    return FramesData(Frames.concatenate([parts[name].frames for name in sorted(parts)]))


@calcfunction
def split_frames(labelled: FramesData, fraction: orm.Float, seed: orm.Int) -> dict[str, FramesData] | ExitCode:
    """Return the references (isolated atoms), the frozen test set and the training set: whole lineages, never split again."""
    frames = labelled.frames
    is_reference = frames.config_type == ISOLATED_ATOM
    rest = frames.take(np.flatnonzero(~is_reference))
    try:
        is_test = lineage_split(
            rest.lineage.tolist(),
            [_composition(rest, index) for index in range(len(rest))],
            [sorted(set(rest.symbols(index))) for index in range(len(rest))],
            fraction=fraction.value,
            rng=np.random.default_rng(seed.value),
        )
    except InputError as error:
        return ExitCode(NO_SPLIT, f'no lineage can be set aside as test set: {error}')
    return {
        'references': FramesData(frames.take(np.flatnonzero(is_reference))),
        'test': FramesData(rest.take(np.flatnonzero(is_test))),
        'train': FramesData(rest.take(np.flatnonzero(~is_test))),
    }


@calcfunction
def pick_starts(train: FramesData, settings: orm.Dict, seed: orm.Int, bases: FramesData | None = None) -> FramesData:
    """Return the start structures of the next exploration: the roots of the training lineages, in an order that is seeded.

    :param bases: frames among which the roots are, also where they were not labelled.
    """
    rng, supercell = np.random.default_rng(seed.value), tuple(settings['supercell'])
    roots = None if bases is None else bases.frames
    return FramesData(start_structures(train.frames, bases=roots, count=settings['starts'], supercell=supercell, rng=rng))


def _composition(frames: Frames, index: int) -> str:
    symbols: Any = frames.symbols(index)
    return ' '.join(f'{element}{round(symbols.count(element) / len(symbols), 2):g}' for element in sorted(set(symbols)))
