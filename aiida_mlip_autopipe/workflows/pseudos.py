"""Families of pseudopotentials in this profile: what they hold, and which cutoffs they recommend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida_pseudo.data.pseudo.upf import UpfData
from aiida_pseudo.groups.family import PseudoPotentialFamily

from aiida_mlip_autopipe.calculations.label_functions import completed
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig

CUTOFFS: Final = ('cutoff_wfc', 'cutoff_rho')
LEAST: Final = 'least_'


def add_theory_ports(spec: Any) -> None:
    """Declare the inputs that :func:`theory_inputs` gives."""
    spec.input_namespace('pseudos', valid_type=UpfData, dynamic=True, help='Pseudopotentials of the family, by element.')
    spec.input('facts', valid_type=orm.Dict, help='Of each pseudopotential, see `workflows.pseudos.facts_of`; cutoffs in Ry.')


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


def theory_inputs(config: DFTConfig, elements: Sequence[str]) -> dict[str, Any]:
    """Return the inputs that a chain of `pw.x` takes from a family: `pseudos`, all of them, and `facts`, see :func:`facts_of`.

    The level of theory names the whole family, so that labels of Al and of Al-Mg may be mixed.

    :param elements: of the system, not only of some frames: the cutoffs are the largest that these need.
    :raises InputError: see :func:`find_family`.
    """
    family = find_family(config, elements)
    return {'pseudos': dict(family.pseudos), 'facts': orm.Dict(facts_of(family, elements))}


def facts_of(family: PseudoPotentialFamily, elements: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return `md5` and `z_valence` of each pseudopotential, and in Ry what the family recommends for some elements.

    That is `cutoff_wfc` and `cutoff_rho`, and `least_cutoff_wfc` and `least_cutoff_rho` of its least stringency.
    """
    cutoffs = _recommended(family)
    stringencies = [_recommended(family, name) for name in getattr(family, 'get_cutoff_stringencies', tuple)()]
    facts: dict[str, dict[str, Any]] = {
        element: {'md5': pseudo.md5, 'z_valence': pseudo.z_valence} for element, pseudo in family.pseudos.items()
    }
    for element in elements if cutoffs else ():
        least = {f'{LEAST}{name}': min(found[element][name] for found in stringencies) for name in CUTOFFS}
        facts[element] |= {**cutoffs[element], **least}
    return facts


def cutoff_warnings(config: DFTConfig, facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each cutoff that is lower than the least that the family recommends for these elements.

    :param facts: as of :func:`facts_of`.
    """
    sentences = []
    for name, given in (('cutoff_wfc', config.cutoff_wfc), ('cutoff_rho', config.cutoff_rho)):
        wanted = {element: told[f'{LEAST}{name}'] for element, told in facts.items() if f'{LEAST}{name}' in told}
        short = {element: value for element, value in wanted.items() if given is not None and given < value}
        if short:
            needs = ', '.join(f'{element} {value:g}' for element, value in sorted(short.items()))
            sentences.append(
                f'label.{name}: {given:g} Ry is less than the least that {config.pseudo_family} recommends: {needs} Ry'
            )
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
