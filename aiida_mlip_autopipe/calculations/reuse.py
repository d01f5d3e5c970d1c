"""Labels that this profile already has: found by one query, taken over for structures that are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_mlip_autopipe.common.fingerprint import difference
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.data.frames import FramesData

SAME_PLACE = 1e-6
"""Å; the hash of a structure forgives a permutation and 1e-5, its forces do not."""

LABEL_COLUMNS = ('labelled', 'has_stress', 'energy', 'stress', 'fingerprint', 'label_uuid')


@dataclass(frozen=True, eq=False)
class Known:
    """Labels of this profile that may stand in for calculations.

    :param nodes: what holds them, by names fit for the inputs of a calcfunction.
    :param levels: their levels of theory by fingerprint.
    """

    nodes: dict[str, FramesData] = field(default_factory=dict)
    levels: dict[str, Any] = field(default_factory=dict)


def find_labels(frames: FramesData, recipe: str) -> Known:
    """Return the labels of these structures that were made by a recipe.

    :param recipe: see `common.fingerprint.recipe_of`; reports carry it, and the uids of what they labelled.
    """
    wanted = set(frames.frames.uid.tolist())
    query = orm.QueryBuilder()
    columns = ['attributes.uids', 'attributes.levels_of_theory']
    query.append(orm.Dict, filters={'attributes.recipe': recipe}, project=columns, tag='report')
    query.append(orm.CalculationNode, with_outgoing='report', tag='process')
    query.append(FramesData, with_incoming='process', edge_filters={'label': 'labelled'}, project='*')
    query.order_by({'process': 'id'})
    known = Known()
    for uids, levels, node in query.iterall():
        if hits := wanted.intersection(uids):
            wanted -= hits
            known.nodes[f'known_{len(known.nodes):05d}'] = node
            known.levels.update(levels)
    return known


def known_difference(fingerprints: Iterable[str]) -> str:
    """Return :func:`difference` of fingerprints, where reports in this profile tell what they stand for."""
    names = sorted(set(fingerprints))
    levels: dict[str, Mapping[str, Any]] = {}
    for name in names:
        query = orm.QueryBuilder().append(
            orm.Dict, filters={'attributes.levels_of_theory': {'has_key': name}}, project='attributes.levels_of_theory'
        )
        if found := query.first(flat=True):
            levels[name] = found[name]
    unknown = [name for name in names if name not in levels]
    parts = [difference(levels)] if len(levels) > 1 else []
    return '; '.join([*parts, *([f'nothing is recorded of {", ".join(unknown)}'] if unknown else [])])


@calcfunction
def reuse_labels(frames: FramesData, **known: FramesData) -> dict[str, orm.Data]:
    """Return the frames that have a label in `known`, with it, and their indices.

    A frame counts as the same when its atoms stand in the same order at the same places. It keeps its own metadata.
    """
    pool = frames.frames
    sources = Frames.concatenate([node.frames for _, node in sorted(known.items())])
    where = {str(uid): index for index, uid in reversed(list(enumerate(sources.uid.tolist()))) if sources.labelled[index]}
    pairs = [(index, where[uid]) for index, uid in enumerate(pool.uid.tolist()) if uid in where]
    pairs = [(index, source) for index, source in pairs if _is_same(pool, index, sources, source)]
    nodes: dict[str, orm.Data] = {'indices': orm.List([index for index, _ in pairs])}
    if pairs:
        nodes['labelled'] = FramesData(_labelled(pool, sources, pairs))
    return nodes


def _is_same(pool: Frames, index: int, sources: Frames, source: int) -> bool:
    rows, others = pool.rows(index), sources.rows(source)
    return (
        np.array_equal(pool.numbers[rows], sources.numbers[others])
        and np.allclose(pool.positions[rows], sources.positions[others], rtol=0, atol=SAME_PLACE)
        and np.allclose(pool.cells[index], sources.cells[source], rtol=0, atol=SAME_PLACE)
        and (pool.config_type[index] == sources.config_type[source] or not _is_isolated(pool, index, sources, source))
    )


def _is_isolated(pool: Frames, index: int, sources: Frames, source: int) -> bool:
    """Whether one of the two is an isolated atom, which is calculated in another way."""
    return ISOLATED_ATOM in (pool.config_type[index], sources.config_type[source])


def _labelled(pool: Frames, sources: Frames, pairs: list[tuple[int, int]]) -> Frames:
    chosen, donors = pool.take([index for index, _ in pairs]), sources.take([source for _, source in pairs])
    columns: dict[str, Any] = {name: getattr(donors, name) for name in LABEL_COLUMNS}
    return chosen.replace(forces=donors.forces, **columns)
