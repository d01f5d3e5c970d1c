"""The potential that a fit starts from: a B-basis with the densities of the settings and the core of the training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.engines.ace.potential import FAST_LOADER, INITIAL_POTENTIAL

FAST_DUMPER: Final = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)
NO_CORE: Final = {'r_in': 0.0, 'delta_in': 0.0, 'inner_cutoff_type': 'distance', 'core-repulsion': [0.0, 0.0]}
CUTOFF_DIGITS: Final = 6


def core_keys(radius: float, width: float) -> dict[str, Any]:
    """Return the keys of a bond that switch on the ZBL repulsion, in the spelling of `input.yaml` and of potentials.

    :param radius: Å, where the repulsion begins.
    :param width: Å, how far below the radius it is there in full.
    """
    return {'r_in': radius, 'delta_in': width, 'inner_cutoff_type': 'zbl', 'core-repulsion': [1, 1]}


def embeddings_of(embeddings: Mapping[str, Mapping[str, Any]], elements: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the embedding of each element: its own, else that of UNARY or ALL.

    :raises InputError: an element has none.
    """
    found = {}
    for element in elements:
        names = [name for name in (element, 'UNARY', 'ALL') if name in embeddings]
        if not names:
            raise InputError(f'embeddings: none for {element}; there are {sorted(embeddings)}')
        found[element] = embeddings[names[0]]
    return found


def starting_potential(
    text: str,
    embeddings: Mapping[str, Mapping[str, Any]],
    cores: Mapping[tuple[str, str], tuple[float, float]],
    *,
    cutoff: float,
) -> str:
    """Return the potential that a fit begins with.

    Densities that it does not have yet get coefficients of zero, so that the fit begins with the errors of the old potential.
    The core is written here because `-ip` takes it from the old potential, whatever `input.yaml` says. The metadata are left out:
    they may hold reference energies, or say that the fit is done.

    :param text: of the old potential, in the B-basis.
    :param embeddings: npot, fs_parameters and ndensity by element, of :func:`embeddings_of`.
    :param cores: Å, radius and width of the core of each pair of elements, sorted by name; empty: no core.
    :param cutoff: Å, of the settings.
    :raises InputError: the cutoff is another one, or an embedding does not continue the old one.
    :raises FormatError: the text is no such potential.
    """
    try:
        values = yaml.load(text, Loader=FAST_LOADER)
        blocks = values['species']
        for block in blocks:
            names = str(block['speciesblock']).split()
            if len(names) == 1:
                _embed(block, embeddings[names[0]])
            if len(names) <= 2:
                pair = (min(names), max(names))
                block.update(core_keys(*cores[pair]) if cores else NO_CORE)
                _require_cutoff(float(block['rcutij']), cutoff)
            densities = int(embeddings[names[0]]['ndensity'])
            for function in block['nbody']:
                function['c'] = [*(float(c) for c in function['c']), *[0.0] * (densities - len(function['c']))]
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f'{INITIAL_POTENTIAL}: not a potential in the B-basis: {error!r}') from error
    kept = {name: value for name, value in values.items() if name != 'metadata'}
    return yaml.dump(kept, Dumper=FAST_DUMPER, sort_keys=False, default_flow_style=None)


def _embed(block: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    old, new = [float(value) for value in block['parameters']], [float(value) for value in wanted['fs_parameters']]
    if block['npoti'] != wanted['npot'] or new[: len(old)] != old:
        raise InputError(
            f'initial_potential: its embedding of {block["speciesblock"]} is {block["npoti"]} {old}; '
            f'{wanted["npot"]} {new} of the settings does not continue it'
        )
    block.update(ndensityi=int(wanted['ndensity']), parameters=new)


def _require_cutoff(old: float, new: float) -> None:
    if round(old - new, CUTOFF_DIGITS):
        raise InputError(f'initial_potential: its cutoff is {old:g} Å, that of the settings {new:g} Å; they must be the same')
