"""What the generator of a configuration gives, as far as it can be told beforehand: kinds, compositions, what comes first."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from ase.formula import Formula

from aiida_mlip_autopipe.common.composition import whole_counts
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES
from aiida_mlip_autopipe.config.generate import GeneratorConfig
from aiida_mlip_autopipe.config.system import TargetSystem

CONFIG_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {'cells': 'cell', 'deform': 'strain'}
    | {
        name: name
        for name in (
            *('sqs', 'strain', 'rattle', 'vacancy', 'ordered', 'eos', 'elastic', 'phonon', 'divacancy', 'interstitial'),
            *('antisite', 'swap', 'frenkel', 'surface', 'stacking_fault', 'dimer', 'isolated_atom', 'amorphous'),
        )
    }
)
"""By section of `generate`; structures from elsewhere and strategies of other packages have their own."""

FROM_ELSEWHERE: Final = ('files', 'structures', 'extra')
LATER: Final = ('md', 'md_failure', 'surrogate_md', 'surrogate_relax')
"""config_types that no section of `generate` gives: of the explorer and of the walks of stage select."""

KEEPING: Final = frozenset({'sqs', 'strain', 'rattle', 'deform', 'eos', 'elastic', 'phonon', 'swap'})
"""Sections whose structures have the composition of an alloy."""


def config_types_of(generate: GeneratorConfig) -> set[str] | None:
    """Return the config_types that candidates may have; None where structures from elsewhere may have any."""
    if any(getattr(generate, name) for name in FROM_ELSEWHERE):
        return None
    return {config_type for section, config_type in CONFIG_TYPES.items() if _makes(generate, section)} | set(LATER)


def compositions_of(system: TargetSystem, generate: GeneratorConfig) -> set[str] | None:
    """Return the reduced formulas that candidates may have; None where a section changes them in ways not followed here."""
    sections = {name for name in (*CONFIG_TYPES, *FROM_ELSEWHERE) if _makes(generate, name)}
    vacancy = generate.vacancy if 'vacancy' in sections else None
    if sections - KEEPING - {'vacancy'} or (vacancy is not None and vacancy.concentration is not None):
        return None
    found = set()
    for alloy, supercell in itertools.product(system.alloys, system.supercells):
        counts = _atoms_of(system, alloy, math.prod(supercell))
        found.add(reduced(counts))
        if vacancy is not None:
            missing = itertools.combinations_with_replacement(sorted(counts), vacancy.n_vacancies)
            left = [Counter(counts) - Counter(gone) for gone in missing]
            found |= {reduced(rest) for rest in left if rest.total() == sum(counts.values()) - vacancy.n_vacancies}
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
    alloys = len(system.alloys) * len(system.supercells)
    cells = len(generate.cells.cells) if generate.cells else 0
    n_bulk = alloys + cells
    found = {'sqs': alloys, 'cell': cells}
    if generate.eos and generate.eos.of is None:
        found['eos'] = n_bulk * (generate.eos.count - 1)
    if generate.elastic and generate.elastic.of is None:
        found['elastic'] = n_bulk * len(generate.elastic.sizes)
    if generate.phonon and generate.phonon.of is None:
        found['phonon'] = n_bulk
    return {name: count for name, count in found.items() if name in first and count}


def _makes(generate: GeneratorConfig, section: str) -> bool:
    settings = getattr(generate, section)
    if section == 'strain':
        return bool(settings.count or settings.hydrostatic)
    return bool(settings) and getattr(settings, 'count', 1) != 0


def _atoms_of(system: TargetSystem, alloy: list[dict[str, float]], n_cells: int) -> dict[str, int]:
    labels = PROTOTYPES[system.prototype].sublattices
    counts: Counter[str] = Counter()
    for index, part in enumerate(alloy):
        counts.update(whole_counts(part, labels.count(index) * n_cells))
    return dict(counts)
