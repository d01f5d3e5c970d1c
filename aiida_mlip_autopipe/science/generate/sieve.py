"""The sieve that every generated structure passes: geometry, size, repeats, with a named reason for each that does not."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from aiida_mlip_autopipe.common.errors import InputError, InvalidFramesError
from aiida_mlip_autopipe.science.generate.environment import reach_of
from aiida_mlip_autopipe.science.generate.neighbours import Neighbours, neighbours
from aiida_mlip_autopipe.science.generate.origin import with_lineage
from aiida_mlip_autopipe.science.generate.seen import SeenStructures
from aiida_mlip_autopipe.science.selection.sanity import FLAT_CELL, SANITY_REASONS, SHORT_BOND, SanityLimits, cell_reason

NOT_FINITE = 'not_finite'
TOO_MANY_ATOMS = 'too_many_atoms'
DUPLICATE = 'duplicate'
EQUIVALENT = 'equivalent'

REASONS = (NOT_FINITE, TOO_MANY_ATOMS, *SANITY_REASONS, DUPLICATE, EQUIVALENT)
"""In the order in which they are looked for; the first one found is given. `duplicate`: the same uid; `equivalent`: the same
after a translation, rotation, mirror or permutation."""


@dataclass(frozen=True)
class SieveLimits:
    """Limits of the sieve.

    :param sanity: bounds on bonds, cell and density.
    :param max_atoms: largest number of atoms.
    :param tolerance: Å, see :class:`SeenStructures`.
    :raises InputError: the limit of atoms is below 1.
    """

    sanity: SanityLimits = field(default_factory=lambda: SanityLimits(min_bond_fraction=0.5, max_skew=65.0))
    max_atoms: int = 500
    tolerance: float = 0.002

    def __post_init__(self) -> None:
        """Refuse a limit that nothing would pass."""
        if self.max_atoms < 1:
            raise InputError(f'max_atoms must be at least 1, got {self.max_atoms}')


@dataclass
class StepTally:
    """What became of the structures of one step.

    :param tried: structures made.
    :param kept: those that passed.
    :param rejected: the others by reason.
    :param sizes: smallest and largest number of atoms of those kept; (0, 0) without any.
    """

    tried: int = 0
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    sizes: tuple[int, int] = (0, 0)

    def add(self, n_atoms: int, reason: str) -> None:
        """Count one structure."""
        self.tried += 1
        if reason:
            self.rejected[reason] += 1
            return
        self.kept += 1
        self.sizes = (min(self.sizes[0] or n_atoms, n_atoms), max(self.sizes[1], n_atoms))


@dataclass
class Tally:
    """What became of the structures of a build, by step.

    :param stopped: why fewer structures were made than the budget asked for; empty otherwise.
    """

    steps: dict[str, StepTally] = field(default_factory=dict)
    stopped: str = ''

    @property
    def kept(self) -> int:
        """Number of structures that passed."""
        return sum(step.kept for step in self.steps.values())

    def of(self, name: str) -> StepTally:
        """Return the tally of a step, a new one where there is none."""
        return self.steps.setdefault(name, StepTally())


@dataclass(frozen=True, eq=False)
class Verdict:
    """What became of one structure.

    :param atoms: the structure with uid, lineage and parent; a repeat has the uid and lineage of the first, for which it may
        stand as a parent. None where it is not sane.
    :param reason: why it does not pass, one of :data:`REASONS`, or ''.
    """

    atoms: Atoms | None
    reason: str


class Sieve:
    """Passes structures that are sane and new, and gives each its uid and lineage.

    Held of each that passed are the uid, the lineage, and what :class:`SeenStructures` holds.

    :param limits: what a structure must keep to.
    :param tally: where to count.
    """

    def __init__(self, limits: SieveLimits, tally: Tally) -> None:
        self.limits = limits
        self.tally = tally
        self._lineages: dict[str, str] = {}
        self._seen = SeenStructures(limits.tolerance)
        self._loose = replace(limits.sanity, max_aspect=math.inf, volume_per_atom=None)

    def admit(self, atoms: Atoms, step: str, parent: Atoms | None = None, *, has_vacuum: bool = False) -> Verdict:
        """Return what became of a structure.

        :param step: name of the step that made it.
        :param parent: the structure it was made from, which must not change any more; None for a root.
        :param has_vacuum: whether density and aspect are free.
        """
        verdict = self._judge(atoms, parent, self._loose if has_vacuum else self.limits.sanity)
        self.tally.of(step).add(len(atoms), verdict.reason)
        return verdict

    def _judge(self, atoms: Atoms, parent: Atoms | None, limits: SanityLimits) -> Verdict:
        if reason := _size_reason(atoms, self.limits.max_atoms):
            return Verdict(None, reason)
        try:
            child = with_lineage(atoms, parent)
        except InvalidFramesError:  # a cell without volume has no uid
            return Verdict(None, FLAT_CELL)
        if reason := _cell_reason(child.numbers.tobytes(), child.cell.array.tobytes(), child.pbc.tobytes(), limits):
            return Verdict(None, reason)
        radii = limits.min_bond_fraction * covalent_radii.take(child.numbers)
        widest = 2.0 * float(radii.max())
        found = neighbours(child, max(reach_of(child), widest), parent)
        if found.distances.min() < widest and (found.distances < radii[:, None] + radii.take(found.others)).any():
            return Verdict(None, SHORT_BOND)
        return self._known(child, found)

    def _known(self, child: Atoms, found: Neighbours) -> Verdict:
        uid = child.info['uid']
        if uid in self._lineages:
            return self._repeat(child, uid, DUPLICATE)
        if twin := self._seen.find_or_add(child, uid, found):
            return self._repeat(child, twin, EQUIVALENT)
        self._lineages[uid] = child.info['lineage']
        return Verdict(child, '')

    def _repeat(self, child: Atoms, uid: str, reason: str) -> Verdict:
        child.info.update(uid=uid, lineage=self._lineages[uid])
        return Verdict(child, reason)


def _size_reason(atoms: Atoms, max_atoms: int) -> str:
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        return NOT_FINITE
    return TOO_MANY_ATOMS if len(atoms) > max_atoms else ''


@lru_cache(maxsize=1024)
def _cell_reason(numbers: bytes, cell: bytes, pbc: bytes, limits: SanityLimits) -> str:
    rows = np.frombuffer(cell).reshape(3, 3)
    return cell_reason(np.frombuffer(numbers, dtype=np.int64), rows, np.frombuffer(pbc, dtype=np.bool_), limits)
