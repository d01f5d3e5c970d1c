"""A `StructureBuilder` out of plain settings, as they come from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiida_mlip_autopipe.common.entry_points import load_plugin
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.budget import Budget
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.checks import Checks
from aiida_mlip_autopipe.science.generate.strategy import BULK, GROUP, Kind, Step, System
from aiida_mlip_autopipe.science.select.sanity import SanityLimits

PREFIX: Final = 'mlip_autopipe.'
"""Of the entry points of this package; what follows is the section of the configuration."""

_STRAINED: Final = (BULK, 'strain', 'deform')

PARENTS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    'sqs': ((), ()),
    'ordered': ((), ()),
    'files': ((), ()),
    'cells': ((), ()),
    'structures': ((), ()),
    'surface': ((), ()),
    'stacking_fault': ((), ()),
    'dimer': ((), ()),
    'isolated_atom': ((), ()),
    'amorphous': ((), ()),
    'strain': ((BULK,), ()),
    'deform': ((BULK,), ()),
    'eos': ((BULK,), ()),
    'elastic': ((BULK,), ()),
    'phonon': ((BULK,), ()),
    'rattle': (_STRAINED, ()),
    'vacancy': (('rattle',), _STRAINED),
    'divacancy': ((BULK,), ()),
    'interstitial': ((BULK,), ()),
    'antisite': ((BULK,), ()),
    'swap': ((BULK,), ()),
    'frenkel': ((BULK,), ()),
}
"""Sections in the order in which they are built, with the parents of each, and those it takes where there are none."""

WITH_VACUUM: Final = frozenset({'surface', 'dimer', 'isolated_atom'})

OWN_FAMILY: Final = frozenset({'surface', 'stacking_fault', 'dimer', 'isolated_atom', 'amorphous'})
"""Bases that are not bulk crystals: they have children only where a section names them in `of`."""


def structure_builder(system: Mapping[str, Any], generate: Mapping[str, Any]) -> StructureBuilder:
    """Return the builder that the settings describe.

    :param system: fields of `TargetSystem`: lattice parameters in Å.
    :param generate: fields of `GeneratorConfig`: strains dimensionless, displacements and cutoffs in Å.
    :raises InputError: a strategy is unknown, or refuses its settings.
    """
    steps = [_step(name, f'{PREFIX}{name}', dict(generate[name])) for name in PARENTS if generate.get(name)]
    steps += [
        _step(extra['strategy'], extra['strategy'], {**extra['settings'], 'of': extra['of']}) for extra in generate['extra']
    ]
    budget = generate['budget']
    return StructureBuilder(
        system=target_of(system),
        steps=tuple(steps),
        checks=_checks(generate['checks']),
        budget=None if budget is None else Budget(budget['n_structures'], dict(budget['weights'])),
    )


def target_of(system: Mapping[str, Any]) -> System:
    """Return the material that the settings describe.

    :param system: fields of `TargetSystem`.
    """
    occupations = system.get('occupations') or [[composition] for composition in system['compositions']]
    return System(
        elements=tuple(system['elements']),
        prototype=system['prototype'],
        alloys=tuple(tuple(dict(part) for part in occupation) for occupation in occupations),
        lattice_parameters=dict(system['lattice_parameters']),
        supercells=tuple((i, j, k) for i, j, k in system['supercells']),
    )


def _step(name: str, entry_point: str, settings: dict[str, Any]) -> Step:
    of = settings.pop('of', None)
    parents, otherwise = PARENTS.get(name, ((BULK,), ()))
    factory = load_plugin(GROUP, entry_point)
    try:
        strategy = factory(**{key: _frozen(value) for key, value in settings.items()})
    except TypeError as error:  # a keyword that it does not have
        raise InputError(f'{name}: {entry_point} does not take these settings: {error}') from error
    if not isinstance(kind := getattr(strategy, 'KIND', None), Kind):
        raise InputError(f'{name}: {entry_point} must have a KIND, a member of {Kind.__module__}.Kind; got {kind!r}')
    return Step(
        name=name,
        strategy=strategy,
        of=tuple(of) if of else parents,
        otherwise=() if of else otherwise,
        has_vacuum=name in WITH_VACUUM,
        is_bulk=name not in OWN_FAMILY,
    )


def _frozen(value: Any) -> Any:
    """Return lists as tuples, as deep as they are nested."""
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def _checks(settings: Mapping[str, Any]) -> Checks:
    volumes = settings['volume_per_atom']
    sanity = SanityLimits(
        min_bond_fraction=settings['min_bond_fraction'],
        max_skew=settings['max_skew'],
        max_aspect=settings['max_aspect'],
        volume_per_atom=None if volumes is None else (volumes[0], volumes[1]),
    )
    return Checks(sanity=sanity, max_atoms=settings['max_atoms'], tolerance=settings['duplicate_tolerance'])
