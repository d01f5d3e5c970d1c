"""The test set that is made, not cut out: frames of lineages of their own, for every composition and config_type of training."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, UID_LENGTH, FloatArray, Frames, IntArray, uid_of
from aiida_mlip_autopipe.science.generate.dimer import CONFIG_TYPE as DIMER
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.seen import SeenStructures
from aiida_mlip_autopipe.science.generate.strain import strained
from aiida_mlip_autopipe.science.selection.funnel import reduced_formulas
from aiida_mlip_autopipe.science.selection.sanity import sanity_reasons
from aiida_mlip_autopipe.science.selection.window import Window, window_reasons

COMPOSITION: Final = 'composition'
"""Key in the origin of a frame: reduced formula of the base of its lineage, which a vacancy does not change."""

UNTESTED: Final = (ISOLATED_ATOM, DIMER)
"""Atoms in a vacuum, which teach a potential its zero and its walls; in a test set their errors would drown those of the use."""

OWN_DRAW: Final = 'own_draw'
"""Key in the origin of a frame that was drawn from a structure of training: `strain` and `stdev` (Å) of the draw."""

LARGEST_STRAIN: Final = 0.02
STDEV: Final = (0.02, 0.05)
"""Å, range of the standard deviation of a draw: like a crystal at some hundred K, so that the config_type still fits."""

TRIALS: Final = 5
"""Draws from one structure of training before it is given up; the first is nearly always new."""

Cell = tuple[str, str]
"""config_type and composition; of frames of MD, temperature and composition."""


@dataclass(frozen=True)
class Limits:
    """What a candidate must fulfil, as in the selection for training.

    :param min_bond_fraction: shortest bond in sums of covalent radii.
    :param max_skew: degrees.
    :param volume: Å³/atom, smallest and largest, or None.
    :param tolerance: Å, displacement up to which two structures are the same.
    """

    min_bond_fraction: float
    max_skew: float
    volume: tuple[float, float] | None
    tolerance: float


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a test set is chosen from.

    :param frames: none of them in the training pool, each of a lineage of the test set.
    :param bases: the undistorted structures that they descend from, where MD for the test set starts, under lineages of the
        test set too. Those of elements and compounds are structures of training: none is a test frame.
    :param n_own_draws: frames that were drawn from a structure of training.
    """

    frames: Frames
    bases: Frames
    n_own_draws: int

    @property
    def cells(self) -> list[Cell]:
        """config_type and composition of each frame."""
        return list(zip(self.frames.config_type.tolist(), compositions(self.frames), strict=True))


def lineage_for_test(root: str) -> str:
    """Return a lineage of the test set, which no training frame has, even where the crystal is the same.

    :param root: uid of the base, or of the draw from a base that training has too.
    """
    return hashlib.sha256(f'test {root}'.encode()).hexdigest()[:UID_LENGTH]


def compositions(frames: Frames) -> list[str]:
    """Return the composition of each frame: that of its base where its origin tells, else the commonest of its lineage."""
    formulas = reduced_formulas(frames)
    by_lineage: dict[str, Counter[str]] = {}
    for lineage, formula in zip(frames.lineage.tolist(), formulas, strict=True):
        by_lineage.setdefault(lineage, Counter())[formula] += 1
    common = {lineage: count.most_common(1)[0][0] for lineage, count in by_lineage.items()}
    told = [_origin(text).get(COMPOSITION) for text in frames.origin.tolist()]
    return [str(one or common[lineage]) for one, lineage in zip(told, frames.lineage.tolist(), strict=True)]


def candidates(training: Frames, drawn: Frames, *, limits: Limits, rng: np.random.Generator) -> Candidates:
    """Return what a test set can be chosen from: frames made with a seed of their own, under lineages of their own.

    The frames of a base share a lineage. Where training has the same crystal, as of elements and compounds, each draw from it has
    one of its own: the crystal is given, and what is independent are the draws.

    A frame that is in the training pool too, as those of sets without chance are, is distorted a little: a random strain of at
    most 2 % and displacements of 0.02 to 0.05 Å. So are training frames of a config_type and composition that chance left out.

    :param training: the pool that training frames are chosen from.
    :param drawn: frames that the same settings gave with another seed.
    :param rng: for the distortions.
    """
    training, drawn = (_solids(frames, limits) for frames in (training, drawn))
    formulas = _base_formulas(Frames.concatenate([training, drawn]))
    seen, uids = SeenStructures(limits.tolerance), set(training.uid.tolist())
    for atoms in training:
        seen.find_or_add(atoms, atoms.info['uid'])
    covered = {(atoms.info['config_type'], formulas[atoms.info['lineage']]) for atoms in drawn}
    left_out = [atoms for atoms in training if (atoms.info['config_type'], formulas[atoms.info['lineage']]) not in covered]
    parents = dict(zip(drawn.uid.tolist(), drawn.parent.tolist(), strict=True))
    made: list[Atoms] = []
    shared, n_own_draws = set(training.lineage.tolist()), 0
    for given, is_drawn in [*((atoms, True) for atoms in drawn), *((atoms, False) for atoms in left_out)]:
        uid, root = given.info['uid'], given.info['lineage']
        is_new = is_drawn and uid not in uids and seen.find_or_add(given, uid) is None
        if uid == root and not is_new:
            shared.add(root)
        atoms = given if is_new else _own_draw(given, seen, rng)
        if atoms is None:
            continue
        n_own_draws += not is_new
        draw = (_draw_of(uid, root, parents) if is_new else atoms.info['uid']) if root in shared else root
        made.append(_adopted(atoms, draw, formulas[root]))
    return Candidates(_solids(Frames.from_atoms(made), limits), _bases(drawn, formulas), n_own_draws)


def needed_for(training: Frames, limits: Limits) -> int:
    """Return the smallest number of test frames for a pool of training frames."""
    solids = _solids(training, limits)
    formulas = _base_formulas(solids)
    return needed([(atoms.info['config_type'], formulas[atoms.info['lineage']]) for atoms in solids])


def needed(cells: Sequence[Cell]) -> int:
    """Return the smallest number of frames in which every name of both kinds occurs."""
    return len(_cover(sorted(set(cells))))


def choose(cells: Sequence[Cell], lineages: Sequence[str], count: int, rng: np.random.Generator) -> IntArray:
    """Return `count` candidates, or all where there are fewer: every config_type and composition, all cells as evenly as can be.

    Within a cell lineages take turns, for frames of one lineage tell much the same.

    :param cells: of each candidate.
    :param lineages: of each candidate.
    :raises InputError: `count` is less than :func:`needed`.
    """
    cover = _cover(sorted(set(cells)))
    if count < len(cover):
        raise InputError(
            f'{count} test frames cannot hold each of {len({kind for kind, _ in cells})} config_types and '
            f'{len({formula for _, formula in cells})} compositions; {len(cover)} can'
        )
    members: dict[Cell, list[int]] = {}
    for index in rng.permutation(len(cells)).tolist():
        members.setdefault(cells[index], []).append(index)
    chosen: list[int] = []
    for place in range(min(count, len(cells))):
        open_cells = [cell for cell, left in members.items() if left]
        cell = cover[place] if place < len(cover) else _emptiest(open_cells, [cells[index] for index in chosen])
        used = Counter(lineages[index] for index in chosen)
        taken = min(members[cell], key=lambda index: used[lineages[index]])
        members[cell].remove(taken)
        chosen.append(taken)
    return np.array(sorted(chosen), dtype=np.int64)


def md_shares(count: int, temperatures: Sequence[float]) -> dict[float, int]:
    """Return how many of `count` frames each temperature (K) gets, as evenly as can be, the lowest first."""
    share, rest = divmod(count, len(temperatures))
    return {temperature: share + (place < rest) for place, temperature in enumerate(sorted(temperatures))}


def md_starts(bases: Frames, *, count: int, supercell: tuple[int, int, int], max_atoms: int, rng: np.random.Generator) -> Frames:
    """Return up to `count` start structures, compositions in turn; more where that many would leave out a composition.

    :param supercell: repeats along the lattice vectors; where these make more than `max_atoms` atoms, the base itself starts,
        for a test frame is labelled as it is.
    """
    queues: dict[str, list[int]] = {}
    formulas = compositions(bases)
    for index in rng.permutation(len(bases)).tolist():
        queues.setdefault(formulas[index], []).append(index)
    depth = max((len(queue) for queue in queues.values()), default=0)
    ranked = [queue[level] for level in range(depth) for queue in queues.values() if level < len(queue)]
    return Frames.from_atoms([_repeated(bases.atoms(index), supercell, max_atoms) for index in ranked[: max(count, len(queues))]])


def choose_md(samples: Frames, shares: dict[float, int], *, limits: Limits, rng: np.random.Generator) -> Frames:
    """Return the sane samples of MD that become test frames: for each temperature its share, compositions and lineages evenly.

    :param samples: frames of trajectories whose origins tell the `temperature`, K.
    :param shares: number of frames by temperature.
    """
    sane = _solids(samples, limits)
    temperatures = temperatures_of(sane)
    formulas, chosen = compositions(sane), np.zeros(0, dtype=np.int64)
    for temperature, count in shares.items():
        rows = np.flatnonzero(temperatures == temperature)
        cells = [(formulas[row], formulas[row]) for row in rows]
        chosen = np.append(chosen, rows[_evenly(cells, sane.lineage[rows].tolist(), count, rng)])
    return sane.take(chosen)


def temperatures_of(frames: Frames) -> FloatArray:
    """Return the temperature of the thermostat that each frame comes from, K, not a number where its origin tells none."""
    told = [_origin(text).get('temperature', np.nan) for text in frames.origin.tolist()]
    return np.array(told, dtype=np.float64)


def _evenly(cells: Sequence[Cell], lineages: Sequence[str], count: int, rng: np.random.Generator) -> IntArray:
    """Return up to `count` indices, more than one of a cell only when each has one."""
    order = rng.permutation(len(cells)).tolist()
    chosen: list[int] = []
    while len(chosen) < count and order:
        used, known = Counter(cells[index] for index in chosen), Counter(lineages[index] for index in chosen)
        taken = min(order, key=lambda index: (used[cells[index]], known[lineages[index]]))
        order.remove(taken)
        chosen.append(taken)
    return np.array(sorted(chosen), dtype=np.int64)


def _cover(cells: Sequence[Cell]) -> list[Cell]:
    """Return the fewest cells in which every name of both kinds occurs: a smallest edge cover, from a largest matching."""
    if not cells:
        return []
    kinds, formulas = (sorted({cell[side] for cell in cells}) for side in (0, 1))
    places = np.array([(kinds.index(kind), formulas.index(formula)) for kind, formula in cells])
    graph = csr_array((np.ones(len(cells)), places.T), shape=(len(kinds), len(formulas)))
    matched = maximum_bipartite_matching(graph, perm_type='column')
    cover = [(kinds[row], formulas[column]) for row, column in enumerate(matched) if column >= 0]
    for side in (0, 1):
        for name in sorted({cell[side] for cell in cells} - {cell[side] for cell in cover}):
            cover.append(_emptiest([cell for cell in cells if cell[side] == name], cover))
    return cover


def _emptiest(cells: Sequence[Cell], chosen: Sequence[Cell]) -> Cell:
    """Return the cell that was chosen least often, then the one whose names were."""
    whole, kinds, formulas = Counter(chosen), Counter(kind for kind, _ in chosen), Counter(formula for _, formula in chosen)
    return min(cells, key=lambda cell: (whole[cell], kinds[cell[0]] + formulas[cell[1]]))


def _solids(frames: Frames, limits: Limits) -> Frames:
    """Return the frames that a selection would let through, without those that are not tested."""
    insane = sanity_reasons(frames, min_bond_fraction=limits.min_bond_fraction, max_skew=limits.max_skew)
    outside = window_reasons(frames, Window(volume=limits.volume), None, None)
    kinds = frames.config_type.tolist()
    keep = [not (one or other) and kind not in UNTESTED for one, other, kind in zip(insane, outside, kinds, strict=True)]
    return frames.take(np.flatnonzero(np.array(keep, dtype=bool)))


def _base_formulas(frames: Frames) -> dict[str, str]:
    """Return the reduced formula of each lineage: that of its base where it is among the frames, else the commonest."""
    found = dict(zip(frames.lineage.tolist(), compositions(frames), strict=True))
    formulas = reduced_formulas(frames)
    return {**found, **{uid: formulas[row] for row, uid in _roots(frames)}}


def _roots(frames: Frames) -> list[tuple[int, str]]:
    return [(row, uid) for row, uid in enumerate(frames.uid.tolist()) if uid == frames.lineage[row]]


def _bases(drawn: Frames, formulas: dict[str, str]) -> Frames:
    """Return the undistorted structures under the lineages of the test set."""
    return Frames.from_atoms([_adopted(drawn.atoms(row), uid, formulas[uid]) for row, uid in _roots(drawn)])


def _draw_of(uid: str, root: str, parents: dict[str, str]) -> str:
    """Return the first ancestor of a structure that was drawn from its base: what descends from one draw shares a lineage."""
    while parents.get(uid, root) not in (root, ''):
        uid = parents[uid]
    return uid


def _own_draw(given: Atoms, seen: SeenStructures, rng: np.random.Generator) -> Atoms | None:
    """Return a structure a little distorted, so that it is none of those seen before, or None where that does not succeed."""
    for _ in range(TRIALS):
        strain, stdev = rng.uniform(-LARGEST_STRAIN, LARGEST_STRAIN, size=6), float(rng.uniform(*STDEV))
        atoms = Rattle(stdev=stdev).one(strained(given, strain, OWN_DRAW), rng)
        uid = uid_of(atoms)
        if seen.find_or_add(atoms, uid) is None:
            told = {'strain': [round(float(part), 6) for part in strain], 'stdev': round(stdev, 6)}
            origin = {**_origin(given.info.get('origin', '')), OWN_DRAW: told}
            atoms.info = {**given.info, 'uid': uid, 'parent': given.info['uid'], 'origin': json.dumps(origin, sort_keys=True)}
            return atoms
    return None


def _adopted(given: Atoms, root: str, formula: str) -> Atoms:
    """Return a copy under a lineage of the test set, its origin telling the composition of its base."""
    atoms = given.copy()
    origin = {**_origin(given.info.get('origin', '')), COMPOSITION: formula}
    atoms.info.update(lineage=lineage_for_test(root), origin=json.dumps(origin, sort_keys=True))
    return atoms


def _repeated(atoms: Atoms, supercell: tuple[int, int, int], max_atoms: int) -> Atoms:
    n_repeats = int(np.prod(supercell))
    if n_repeats == 1 or n_repeats * len(atoms) > max_atoms:
        return atoms
    repeated = atoms.repeat(supercell)
    repeated.info = {**atoms.info, 'parent': atoms.info['uid'], 'uid': uid_of(repeated)}
    return repeated


def _origin(text: str) -> dict[str, Any]:
    """Return what an origin tells; one that is no JSON, as of imported frames, tells nothing."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
