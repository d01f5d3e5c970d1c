"""What can be told beforehand of the structures of a configuration: kinds, compositions, what comes first."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from ase.formula import Formula

from aiida_mlip_autopipe.common.composition import whole_counts
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES
from aiida_mlip_autopipe.config.generate import GeneratorConfig
from aiida_mlip_autopipe.config.system import TargetSystem
from aiida_mlip_autopipe.science.generate.strategy import Kind

LATER: Final = ('md', 'md_failure', 'surrogate_md', 'surrogate_relax')
"""config_types that no section of `generate` gives: of the explorer and of the walks of stage select."""


def config_types_of(generate: GeneratorConfig) -> set[str] | None:
    """Return the config_types that candidates may have; None where a strategy may give any."""
    found = set(LATER)
    for strategy in generate.plan.values():
        if strategy.CONFIG_TYPES is None:
            return None
        found |= strategy.CONFIG_TYPES
    return found


def compositions_of(system: TargetSystem, generate: GeneratorConfig) -> set[str] | None:
    """Return the reduced formulas that candidates may have; None where a strategy cannot tell what it makes of one."""
    found = set()
    for alloy, supercell in itertools.product(system.alloys, system.supercells):
        counts = _atoms_of(system, alloy, math.prod(supercell))
        for strategy in generate.plan.values():
            made = strategy.compositions(counts)
            if made is None:
                return None
            found |= {reduced(one) for one in made}
    return found


def reduced(counts: Mapping[str, int]) -> str:
    """Return the formula in lowest terms, as stage select writes it."""
    return str(Formula.from_dict({element: n for element, n in sorted(counts.items()) if n}).reduce()[0].format('hill'))


def check_formula(name: str, elements: Collection[str]) -> None:
    """Refuse a formula that stage select never writes.

    :raises ValueError: it cannot be read, has other elements or is not in lowest terms.
    """
    try:
        counts = Formula(name).count()
    except ValueError as error:
        raise ValueError(f'select.quotas.composition: got {name!r}; must be a reduced formula such as Al3Mg') from error
    if unknown := sorted(set(counts) - set(elements)):
        raise ValueError(f'select.quotas.composition: got {name!r} with {unknown}; the elements are {sorted(elements)}')
    if reduced(counts) != name:
        raise ValueError(f'select.quotas.composition: got {name!r}; write it as {reduced(counts)}')


def least_first(system: TargetSystem, generate: GeneratorConfig, first: Collection[str]) -> dict[str, int]:
    """Return how many frames of each config_type there are at the least; symmetry and repeats decide about the others.

    :param first: config_types that count.
    """
    n_slots, n_bulk = len(system.alloys) * len(system.supercells), n_bases(system, generate)
    found: Counter[str] = Counter()
    for strategy in generate.plan.values():
        n_parents = {Kind.LATTICE: n_slots, Kind.FREE: 1}.get(strategy.KIND, n_bulk)
        if strategy.CONFIG_TYPES is not None and len(strategy.CONFIG_TYPES) == 1:
            found[min(strategy.CONFIG_TYPES)] += strategy.at_least(n_parents)
    return {name: count for name, count in found.items() if name in first and count}


def n_bases(system: TargetSystem, generate: GeneratorConfig) -> int:
    """Return how many bulk bases with a known config_type there are at the least."""
    return sum(
        strategy.at_least(len(system.alloys) * len(system.supercells) if strategy.KIND is Kind.LATTICE else 1)
        for strategy in generate.plan.values()
        if strategy.KIND in (Kind.LATTICE, Kind.FREE) and strategy.IS_BULK and strategy.CONFIG_TYPES is not None
    )


def has_other_bases(generate: GeneratorConfig) -> bool:
    """Whether a section beside those on the lattice gives bulk bases, which may have any element of the system."""
    return any(s.KIND is Kind.FREE and s.IS_BULK and s.at_least(1) for s in generate.plan.values())


def _atoms_of(system: TargetSystem, alloy: list[dict[str, float]], n_cells: int) -> Counter[str]:
    labels = PROTOTYPES[system.prototype].sublattices if system.prototype else ()
    counts: Counter[str] = Counter()
    for index, part in enumerate(alloy):
        counts.update(whole_counts(part, labels.count(index) * n_cells))
    return counts
