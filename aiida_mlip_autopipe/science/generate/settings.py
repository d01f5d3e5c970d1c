"""The strategies that are registered, and a `StructureBuilder` out of plain settings, as they come from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from pydantic import ValidationError

from aiida_mlip_autopipe.common.entry_points import full_name, load_plugin, registered, require_subclass, section_of, sections
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.settings import explain
from aiida_mlip_autopipe.science.generate.budget import Budget
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.sieve import SieveLimits
from aiida_mlip_autopipe.science.generate.strategy import GROUP, Kind, Step, Strategy, System
from aiida_mlip_autopipe.science.selection.sanity import SanityLimits


@cache
def strategies() -> Mapping[str, type[Strategy]]:
    """Return the registered strategies by the name of their section, in the order of a plan."""
    return sections(GROUP, _check)


def strategy(name: str) -> type[Strategy]:
    """Return the strategy of a section.

    :raises InputError: there is none of this name.
    :raises EngineError: it cannot be imported here.
    """
    if name in strategies():
        return strategies()[name]
    named = {section_of(entry_point): entry_point for entry_point in registered(GROUP)}
    return cast('type[Strategy]', load_plugin(GROUP, named.get(name, full_name(name))))


def structure_builder(system: Mapping[str, Any], generate: Mapping[str, Any]) -> StructureBuilder:
    """Return the builder that the settings describe.

    :param system: fields of `TargetSystem`: lattice parameters in Å.
    :param generate: fields of `GeneratorConfig`: strains dimensionless, displacements and cutoffs in Å.
    :raises InputError: a strategy is unknown, or refuses its settings.
    """
    named = [name for name, settings in generate.items() if settings is not None and name not in ('checks', 'budget')]
    steps = [_step(name, generate[name]) for name in sorted(named, key=lambda name: (strategy(name).ORDER, name))]
    budget = generate['budget']
    return StructureBuilder(
        system=target_of(system),
        steps=tuple(steps),
        limits=_limits(generate['checks']),
        budget=None if budget is None else Budget(budget['n_structures'], dict(budget['weights'])),
    )


def target_of(system: Mapping[str, Any]) -> System:
    """Return the material that the settings describe.

    :param system: fields of `TargetSystem`.
    """
    occupations = system.get('occupations') or [[composition] for composition in system['compositions']]
    return System(
        elements=tuple(system['elements']),
        prototype=system.get('prototype') or '',
        alloys=tuple(tuple(dict(part) for part in occupation) for occupation in occupations),
        lattice_parameters=dict(system['lattice_parameters']),
        supercells=tuple((i, j, k) for i, j, k in system['supercells']),
    )


def _step(name: str, settings: Mapping[str, Any]) -> Step:
    kind = strategy(name)
    try:
        return Step(name, kind.model_validate(settings))
    except ValidationError as error:
        raise InputError('\n'.join(f'generate.{name}.{line}' for line in explain(error, kind).splitlines())) from error


def _check(entry_point: str, found: Any) -> None:
    require_subclass(entry_point, GROUP, Strategy, found)
    if not isinstance(kind := getattr(found, 'KIND', None), Kind):
        raise InputError(f'{entry_point} must have a KIND, a member of {Kind.__module__}.Kind; got {kind!r}')


def _limits(settings: Mapping[str, Any]) -> SieveLimits:
    volumes = settings['volume_per_atom']
    sanity = SanityLimits(
        min_bond_fraction=settings['min_bond_fraction'],
        max_skew=settings['max_skew'],
        max_aspect=settings['max_aspect'],
        volume_per_atom=None if volumes is None else (volumes[0], volumes[1]),
    )
    return SieveLimits(sanity=sanity, max_atoms=settings['max_atoms'], tolerance=settings['duplicate_tolerance'])
