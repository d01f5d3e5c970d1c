"""`StructureBuilder`: the stream of first structures, from bases to distorted and defective ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast
from zlib import crc32

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.budget import PATIENCE, Budget, fill
from aiida_mlip_autopipe.science.generate.ideal_lattices import slot_of
from aiida_mlip_autopipe.science.generate.sieve import Sieve, SieveLimits, Tally, Verdict
from aiida_mlip_autopipe.science.generate.strategy import BULK, Drawing, Kind, Step, System

SHARED_STREAM: Final = ('strain', 'rattle', 'vacancy')
"""Steps that draw in turn from one stream of random numbers, as they did in the first release: the same seed gives the same
structures as then. Every other step has a stream of its own, so that adding one leaves the others' structures as they are."""

MAX_PARENTS = 64
"""Structures of one step that a family keeps as parents, so that memory stays flat."""


class Family:
    """A base, what descends from it and may be a parent, and the random streams of its steps.

    :param shared: stream of the steps of `SHARED_STREAM`.
    :param seeds: of the streams of all other steps.
    :param group: name under which the base is known beside that of its step, or ''.
    """

    def __init__(self, shared: np.random.Generator, seeds: np.random.SeedSequence, group: str) -> None:
        self._shared = shared
        self._seeds = seeds
        self._group = group
        self._pools: dict[str, list[Atoms]] = {}
        self._streams: dict[str, np.random.Generator] = {}

    def stream(self, name: str) -> np.random.Generator:
        """Return the random stream of a step."""
        if name in SHARED_STREAM:
            return self._shared
        if name not in self._streams:
            self._streams[name] = keyed_stream(self._seeds, name)
        return self._streams[name]

    def add(self, name: str, verdict: Verdict) -> None:
        """Take a structure among the possible parents, unless it is insane or there are many of its step.

        A copy is taken, for the consumer of the stream may change what it gets.
        """
        if verdict.atoms is None or len(self._pools.get(name, ())) >= MAX_PARENTS:
            return
        kept = verdict.atoms.copy()
        for pool in {name, self._group if not self._pools else ''} - {''}:
            self._pools.setdefault(pool, []).append(kept)

    def parents(self, step: Step) -> list[Atoms]:
        """Return the structures that a step may start from."""
        found = [atoms for name in step.of for atoms in self._pools.get(name, ())]
        return found or [atoms for name in step.otherwise for atoms in self._pools.get(name, ())]


@dataclass(frozen=True)
class StructureBuilder:
    """The facade: a system, the steps that make its structures, and the sieve they pass. Steps know nothing of each other.

    :param system: the material.
    :param steps: in the order base, distortion, defect; a step follows those that it takes parents from.
    :param limits: of the sieve.
    :param budget: how many structures to make in all, or None: what the steps say.
    """

    system: System
    steps: tuple[Step, ...]
    limits: SieveLimits = field(default_factory=SieveLimits)
    budget: Budget | None = None

    def build(self, rng: np.random.Generator, tally: Tally | None = None) -> Iterator[Atoms]:
        """Return the stream of structures, with uid, lineage, parent, config_type and origin in `info`.

        The lineage is the uid of the base. No structure comes twice, not even moved, rotated or permuted: of a base that does,
        the family goes on under the lineage of the first. What is drawn depends on `rng` alone as it is now: the consumer may
        go on using it. Distortions draw from streams of their own, so that changing them leaves the bases as they are.

        :param tally: what became of the structures of each step is counted here.
        :raises InputError: while the stream is read: a composition does not fit a supercell, or a setting is out of range.
        :raises EngineError: while the stream is read: an external program failed.
        """
        sieve = Sieve(self.limits, Tally() if tally is None else tally)
        return self._stream(rng.spawn(1)[0], sieve)

    def _stream(self, rng: np.random.Generator, sieve: Sieve) -> Iterator[Atoms]:
        if self.budget is not None:
            yield from self._within(self.budget, rng, sieve)
            return
        for family, fresh in self._families(rng, sieve):
            yield from fresh
            for step in self._derived:
                yield from self._children(family, step, sieve)

    def _within(self, budget: Budget, rng: np.random.Generator, sieve: Sieve) -> Iterator[Atoms]:
        families: list[Family] = []
        fixed = self._fixed(families, rng, sieve)
        yield from itertools.islice(fixed, budget.n_structures)
        if next(fixed, None) is not None:
            raise InputError(f'budget.n_structures: got {budget.n_structures}; bases and fixed sets alone are more')
        steps = {step.name: step for step in self._derived if step.strategy.KIND is Kind.DRAWN and families}
        weights = {name: budget.weights.get(name, _count(step)) for name, step in steps.items()}
        draws = {name: partial(_draw, families, itertools.cycle(families), step, sieve) for name, step in steps.items()}
        missing = budget.n_structures - sieve.tally.kept
        yield from fill(missing, draws, weights)
        if sieve.tally.kept < budget.n_structures:
            sieve.tally.stopped = _what_stopped(sieve.tally, budget.n_structures, list(steps))

    def _fixed(self, families: list[Family], rng: np.random.Generator, sieve: Sieve) -> Iterator[Atoms]:
        """Yield the bases and the set that each fixed step makes of them, and remember the families."""
        for family, fresh in self._families(rng, sieve):
            yield from fresh
            families.append(family)
            for step in self._derived:
                if step.strategy.KIND is Kind.FIXED:
                    yield from self._children(family, step, sieve)

    @property
    def _derived(self) -> list[Step]:
        return [step for step in self.steps if step.strategy.KIND in (Kind.FIXED, Kind.DRAWN)]

    def _families(self, rng: np.random.Generator, sieve: Sieve) -> Iterator[tuple[Family, list[Atoms]]]:
        """Yield a family for each sane base, and the base itself where it is new."""
        lattice = [step for step in self.steps if step.strategy.KIND is Kind.LATTICE]
        for alloy, supercell in itertools.product(self.system.alloys, self.system.supercells):
            first, shared = rng.spawn(2)
            slot = slot_of(self.system, alloy, supercell)
            for step in lattice:
                stream = first if step is lattice[0] else keyed_stream(_seeds(shared), step.name)
                yield from _bases(step, step.strategy(slot, stream), shared, sieve)
        for step in self.steps:
            if step.strategy.KIND is Kind.FREE:
                stream = keyed_stream(_seeds(rng), step.name)
                yield from _bases(step, step.strategy(self.system, stream), stream, sieve)

    def _children(self, family: Family, step: Step, sieve: Sieve) -> Iterator[Atoms]:
        """Yield what a step makes of a family."""
        parents = family.parents(step)
        if not parents:
            return
        stream = family.stream(step.name)
        for child, parent in _made(step, parents, stream):
            verdict = sieve.admit(child, step.name, parent, has_vacuum=step.strategy.HAS_VACUUM)
            family.add(step.name, verdict)
            if verdict.atoms is not None and not verdict.reason:
                yield verdict.atoms


def _bases(step: Step, made: Iterator[Atoms], shared: np.random.Generator, sieve: Sieve) -> Iterator[tuple[Family, list[Atoms]]]:
    for number, base in enumerate(made):
        verdict = sieve.admit(base, step.name, has_vacuum=step.strategy.HAS_VACUUM)
        if verdict.atoms is None:
            continue
        family = Family(
            shared, _seeds(keyed_stream(_seeds(shared), f'{step.name} {number}')), BULK if step.strategy.IS_BULK else ''
        )
        family.add(step.name, verdict)
        yield family, [] if verdict.reason else [verdict.atoms]


def _made(step: Step, parents: Sequence[Atoms], rng: np.random.Generator) -> Iterator[tuple[Atoms, Atoms]]:
    """Yield children, each with its parent."""
    if step.strategy.KIND is Kind.FIXED:
        for parent in parents:
            yield from ((child, parent) for child in step.strategy(parent, rng))
        return
    strategy = _drawing(step)
    for _ in range(strategy.count):
        parent = parents[int(rng.integers(len(parents)))]
        yield strategy.one(parent, rng), parent


def _draw(families: Sequence[Family], turns: Iterator[Family], step: Step, sieve: Sieve) -> Atoms | None:
    """Return a new structure of the next family that has parents, or None where it did not pass or no family has any."""
    for _ in families:
        family = next(turns)
        if parents := family.parents(step):
            break
    else:
        return None
    rng = family.stream(step.name)
    parent = parents[int(rng.integers(len(parents)))]
    verdict = sieve.admit(_drawing(step).one(parent, rng), step.name, parent, has_vacuum=step.strategy.HAS_VACUUM)
    family.add(step.name, verdict)
    return None if verdict.reason else verdict.atoms


def _what_stopped(tally: Tally, wanted: int, drawn: list[str]) -> str:
    """Return a sentence on strategies that draw at random and were given up, with the commonest reason of each."""
    told = f'{tally.kept} of {wanted} structures: no strategy that draws at random'
    if not drawn:
        return f'{told} is in the plan'
    reasons = [f'{name}: {next(iter(tally.of(name).rejected.most_common(1)), ("no parents", 0))[0]}' for name in drawn]
    return f'{told} has anything new within {PATIENCE} trials ({", ".join(reasons)})'


def _drawing(step: Step) -> Drawing:
    strategy = step.strategy
    if not (hasattr(strategy, 'count') and hasattr(strategy, 'one')):  # isinstance of a protocol takes as long as a search
        raise InputError(f'{step.name}: {type(strategy).__name__} is of the kind drawn, but has no count and no one()')
    return cast('Drawing', strategy)


def _count(step: Step) -> int:
    return _drawing(step).count


def _seeds(rng: np.random.Generator) -> np.random.SeedSequence:
    seeds = rng.bit_generator.seed_seq
    if not isinstance(seeds, np.random.SeedSequence):
        raise InputError(f'the random generator has seeds of the kind {type(seeds).__name__}, expected SeedSequence')
    return seeds


def keyed_stream(seeds: np.random.SeedSequence, name: str) -> np.random.Generator:
    """Return the random stream of a name: whatever other names draw, it is the same."""
    key = (*seeds.spawn_key, crc32(name.encode()))
    return np.random.default_rng(np.random.SeedSequence(entropy=seeds.entropy, spawn_key=key))
