"""Families of pseudopotentials in this profile: what they hold, and which cutoffs they recommend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida_pseudo.groups.family import PseudoPotentialFamily

from aiida_mlip_autopipe.calculations.label_functions import complete_settings, completed
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.label import DFTConfig
from aiida_mlip_autopipe.data.frames import FramesData


@dataclass(frozen=True, eq=False)
class Theory:
    """What every calculation of a chain needs to know of the theory.

    :param family: of the pseudopotentials.
    :param facts: stored, see :func:`facts_of`.
    :param settings: complete, as `DFTConfig`, with its provenance.
    """

    family: PseudoPotentialFamily
    facts: orm.Dict
    settings: orm.Dict


CUTOFFS = ('cutoff_wfc', 'cutoff_rho')


def find_family(config: DFTConfig, elements: Sequence[str]) -> PseudoPotentialFamily:
    """Return the family that the settings or their protocol name.

    :raises InputError: there is none, it lacks an element, or nobody gives a cutoff.
    """
    label = config.pseudo_family or completed(config, {}).pseudo_family
    try:
        family = orm.load_group(label)
    except (NotExistent, MultipleObjectsError) as error:
        known = [found.label for (found,) in orm.QueryBuilder().append(PseudoPotentialFamily).iterall()]
        raise InputError(
            f'label.pseudo_family: got {label!r}; installed families: {", ".join(known) or "none"} (aiida-pseudo list)'
        ) from error
    if not isinstance(family, PseudoPotentialFamily):
        raise InputError(f'label.pseudo_family: {label!r} is a group, but not a family of pseudopotentials')
    if missing := sorted(set(elements) - set(family.elements)):
        raise InputError(f'label.pseudo_family: {label!r} has no pseudopotential for {missing}; it has {sorted(family.elements)}')
    if config.cutoff_wfc is None and not _recommended(family):
        raise InputError(f'label.cutoff_wfc: missing, and the family {label!r} recommends none (aiida-pseudo family cutoffs set)')
    return family


def complete_theory(settings: orm.Dict, frames: FramesData) -> Theory:
    """Return the settings of a chain with what the protocol and the family give.

    :raises InputError: see :func:`find_family`.
    """
    elements = frames.base.attributes.get('elements')
    family = find_family(DFTConfig.model_validate(settings.get_dict()), elements)
    facts = orm.Dict(facts_of(family)).store()
    return Theory(family, facts, complete_settings(settings, facts, orm.List(elements)))


def facts_of(family: PseudoPotentialFamily) -> dict[str, dict[str, Any]]:
    """Return `md5`, `z_valence` and, where the family recommends them, `cutoff_wfc` and `cutoff_rho` (Ry) of each element."""
    cutoffs = _recommended(family)
    return {
        element: {'md5': pseudo.md5, 'z_valence': pseudo.z_valence, **cutoffs.get(element, {})}
        for element, pseudo in family.pseudos.items()
    }


def cutoff_warnings(config: DFTConfig, family: PseudoPotentialFamily, elements: Sequence[str]) -> list[str]:
    """Return a sentence for each cutoff that is lower than the least that the family recommends for these elements."""
    least = [_recommended(family, stringency) for stringency in getattr(family, 'get_cutoff_stringencies', tuple)()]
    sentences = []
    for name, given in (('cutoff_wfc', config.cutoff_wfc), ('cutoff_rho', config.cutoff_rho)):
        wanted = {element: min(cutoffs[element][name] for cutoffs in least) for element in elements if least}
        short = {element: value for element, value in wanted.items() if given is not None and given < value}
        if short:
            needs = ', '.join(f'{element} {value:g}' for element, value in sorted(short.items()))
            sentences.append(f'label.{name}: {given:g} Ry is less than the least that {family.label} recommends: {needs} Ry')
    return sentences


def _recommended(family: PseudoPotentialFamily, stringency: str | None = None) -> dict[str, dict[str, float]]:
    """Return the cutoffs of each element at a stringency, Ry, or at the default one; empty where the family has none."""
    if not getattr(family, 'get_cutoff_stringencies', tuple)():
        return {}
    found = {}
    for element in family.elements:
        values = family.get_recommended_cutoffs(elements=(element,), stringency=stringency, unit='Ry')
        found[element] = dict(zip(CUTOFFS, values, strict=True))
    return found
