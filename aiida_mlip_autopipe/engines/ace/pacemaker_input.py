"""`input.yaml` of Pacemaker: from our settings, and the check that it will be read as it was meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.ace.pacemaker_start import core_keys
from aiida_mlip_autopipe.engines.ace.potential import INPUT

KNOWN_KEYS: Final = {
    '': {'cutoff', 'seed', 'metadata', 'potential', 'data', 'fit', 'backend'},
    'data': {'filename', 'test_filename', 'test_size'},
    'fit': {'loss', 'optimizer', 'maxiter', 'ladder_step', 'ladder_type', 'weighting'},
    'fit.loss': {'kappa', 'L1_coeffs', 'L2_coeffs'},
    'backend': {'evaluator', 'batch_size', 'display_step'},
}
"""The keys that we write, by section; Pacemaker ignores any other without a word."""

REQUIRED_KEYS: Final = {
    '': {'cutoff', 'seed', 'potential', 'data', 'fit', 'backend'},
    'data': {'filename'},
    'fit': {'loss', 'optimizer', 'maxiter'},
    'fit.loss': {'kappa'},
    'backend': {'evaluator', 'batch_size'},
}
"""Keys without which Pacemaker fails or takes a default that nobody wants, such as an energy-only fit."""

CONTINUE: Final = '-p'
"""Option: go on with the same basis."""

EXTEND: Final = '-ip'
"""Option: extend the basis of an old potential to a larger one."""


@dataclass(frozen=True)
class InputFiles:
    """Names of the files that Pacemaker reads.

    :param train: data sets of the fit.
    :param test: data set that is only evaluated, or empty.
    :param potential: potential whose basis and coefficients take the place of a new basis, or empty.
    """

    train: tuple[str, ...]
    test: str = ''
    potential: str = ''


Values = Mapping[str, Any]
"""Settings as plain values, checked before: those of `PacemakerTrainer`, or of a section of it."""


def build_input(
    settings: Values,
    elements: Sequence[str],
    files: InputFiles,
    *,
    seed: int,
    kappa: float | str | None = None,
    origin: str = '',
) -> dict[str, Any]:
    """Return the content of `input.yaml`.

    The cutoff stands twice: an old Pacemaker demands `cutoff`, a new one warns of it, and both use only the `rcut` of the bonds.

    :param settings: those of `PacemakerTrainer`.
    :param elements: chemical symbols; Pacemaker itself sorts them.
    :param kappa: in place of that of the settings, see :func:`effective_kappa`.
    :param origin: where the data come from, written as metadata; empty: nothing is written.
    """
    return {
        'cutoff': settings['cutoff'],
        'seed': seed,
        **({'metadata': {'origin': origin}} if origin else {}),
        'potential': {'filename': files.potential} if files.potential else potential_section(settings, elements),
        'data': _data(settings, files),
        'fit': _fit(settings, seed, settings['kappa'] if kappa is None else kappa),
        'backend': {
            'evaluator': 'tensorpot',
            'batch_size': settings['batch_size'],
            'display_step': settings['display_step'],
        },
    }


def potential_section(settings: Values, elements: Sequence[str]) -> dict[str, Any]:
    """Return the section that describes the basis."""
    orders = ('nradmax_by_orders', 'lmax_by_orders')
    return {
        'deltaSplineBins': settings['delta_spline'],
        'elements': sorted(elements),
        'embeddings': {name: _embedding(value) for name, value in settings['embeddings'].items()},
        'bonds': {name: _bond(value, settings['cutoff']) for name, value in settings['bonds'].items()},
        'functions': {
            'number_of_functions_per_element': settings['b_basis_size'],
            **{name: {key: list(value[key]) for key in orders} for name, value in settings['functions'].items()},
        },
    }


def _embedding(value: Values) -> dict[str, Any]:
    return {'npot': value['npot'], 'fs_parameters': list(value['fs_parameters']), 'ndensity': value['ndensity']}


def _bond(value: Values, cutoff: float) -> dict[str, Any]:
    return {
        'radbase': value['radbase'],
        'radparameters': list(value['radparameters']),
        'rcut': cutoff,
        'dcut': value['dcut'],
        'NameOfCutoffFunction': value['cutoff_function'],
    }


def _data(settings: Values, files: InputFiles) -> dict[str, Any]:
    data: dict[str, Any] = {'filename': files.train[0] if len(files.train) == 1 else list(files.train)}
    if files.test:
        data['test_filename'] = files.test
    elif settings['test_size'] is not None:
        data['test_size'] = settings['test_size']
    return data


def _fit(settings: Values, seed: int, kappa: float | str) -> dict[str, Any]:
    fit: dict[str, Any] = {
        'loss': {'kappa': kappa, 'L1_coeffs': settings['l1'], 'L2_coeffs': settings['l2']},
        'optimizer': settings['optimizer'],
        'maxiter': settings['max_iter'],
    }
    if (step := settings.get('ladder_step')) is not None:
        fit['ladder_step'] = list(step) if isinstance(step, tuple) else step
        fit['ladder_type'] = settings['ladder_type']
    if settings['weighting'] == 'energy':
        fit['weighting'] = _weighting(settings['energy_weighting'], seed)
    return fit


def _weighting(value: Values, seed: int) -> dict[str, Any]:
    weighting: dict[str, Any] = {
        'type': 'EnergyBasedWeightingPolicy',
        'energy': value['zero'],
        'DElow': value['lower_energy'],
        'DEup': value['upper_energy'],
        'DE': value['energy_shift'],
        'DF': value['force_shift'],
        'seed': seed,
    }
    optional = {'DFup': value['upper_force'], 'wlow': value['lower_weight']}
    return weighting | {name: number for name, number in optional.items() if number is not None}


def effective_kappa(kappa: float | str, mean_factor: float) -> float | str:
    """Return the kappa that gives the loss (1 - κ) L_E + κ f L_F up to a factor of the whole.

    Pacemaker divides `w_forces` by its sum, so that the mean f of the factors gets lost there and must enter through κ:
    κ' = κ f / (1 - κ + κ f).

    :param kappa: κ, or `auto`, which stays as it is.
    :param mean_factor: f, mean of the factors of `w_forces` over the atoms.
    """
    if isinstance(kappa, str) or mean_factor == 1:
        return kappa
    return kappa * mean_factor / (1 - kappa + kappa * mean_factor)


def check_input(values: Any) -> None:
    """Check what Pacemaker does not: keys that it would ignore, keys whose absence it would not mention, two cutoffs.

    :raises InputError: what Pacemaker would make of the input.
    """
    for place, known in KNOWN_KEYS.items():
        section = values
        for name in place.split('.') if place else []:
            section = section.get(name) if isinstance(section, Mapping) else None
        where = f'section {place!r}' if place else 'top level'
        if not isinstance(section, Mapping):
            raise InputError(f'{INPUT}: {where} is missing or no mapping of keys and values')
        if missing := sorted(REQUIRED_KEYS[place] - set(section)):
            raise InputError(f'{INPUT}: {where} has no {missing[0]!r}; Pacemaker would fail or take its own default')
        if unknown := sorted(set(section) - known):
            raise InputError(
                f'{INPUT}: {where}: unknown key {unknown[0]!r}, which Pacemaker would ignore without a word; '
                f'allowed here: {", ".join(sorted(known))}'
            )
    if values['backend']['evaluator'] != 'tensorpot':
        raise InputError(f'{INPUT}: evaluator: got {values["backend"]["evaluator"]!r}; only tensorpot fits with gradients')
    _check_cutoffs(values)


def _check_cutoffs(values: Mapping[str, Any]) -> None:
    bonds = values['potential'].get('bonds', {})
    wrong = {name: bond['rcut'] for name, bond in bonds.items() if 'rcut' in bond and bond['rcut'] != values['cutoff']}
    if wrong:
        raise InputError(f'{INPUT}: cutoff is {values["cutoff"]} Å, but Pacemaker would use the rcut of the bonds: {wrong}')


def start_option(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the option with which a fit starts from an old potential: `-p`, or `-ip` where the basis grows.

    With `-ip` and the same basis Pacemaker fits nothing and fails at the end; with `-p` it takes the old basis whatever
    `input.yaml` says.

    :param old: section `potential` of the input that made the old potential.
    :param new: section `potential` of the input of this fit.
    :raises InputError: the basis differs in another way than by having more functions.
    """
    if 'filename' in old:
        raise InputError(
            'initial_potential: its basis is that of a linear fit, which the settings cannot describe; '
            'set initial_potential: linear to go on with it'
        )
    old, new = _without_core(old), _without_core(new)
    if old == new:
        return CONTINUE
    changed = sorted(name for name in set(old) | set(new) if name != 'functions' and old.get(name) != new.get(name))
    if changed:
        name = changed[0]
        raise InputError(
            f'initial_potential: its {name} {old.get(name)} differ from {new.get(name)} of the settings; '
            'Pacemaker would take the old ones without a word'
        )
    size = 'number_of_functions_per_element'
    before, after = old['functions'][size], new['functions'][size]
    shrunk = [name for name, block in old['functions'].items() if name != size and not _covers(new['functions'].get(name), block)]
    if after <= before or shrunk:
        raise InputError(
            f'initial_potential: its basis has up to {before} functions per element, the settings ask for {after}'
            f'{f" and less in {shrunk[0]}" if shrunk else ""}; a basis can stay the same or get a larger b_basis_size'
        )
    return EXTEND


def _without_core(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section without the radii of the core, which follow the training set."""
    return {**section, 'bonds': {name: bond for name, bond in section['bonds'].items() if 'rcut' in bond}}


def _covers(new: Mapping[str, Sequence[int]] | None, old: Mapping[str, Sequence[int]]) -> bool:
    if new is None:
        return False
    return all(
        len(new[name]) >= len(old[name]) and all(a >= b for a, b in zip(new[name], old[name], strict=False))
        for name in ('nradmax_by_orders', 'lmax_by_orders')
    )


def with_core(values: Mapping[str, Any], cores: Mapping[tuple[str, str], tuple[float, float]]) -> dict[str, Any]:
    """Return the input with a core repulsion in its bonds.

    It has to be there before the fit: `fit.repulsion: auto` adds it afterwards, at the shortest training distance itself, where
    the forces of the potential then jump.

    :param cores: Å, radius and width for each pair of elements, sorted by name, see :func:`core_keys`.
    """
    potential = values['potential']
    keys = {''.join(pair): core_keys(*core) for pair, core in cores.items()}
    return {**values, 'potential': {**potential, 'bonds': {**potential['bonds'], **keys}}}


def without_ladder(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input without its ladder, which beside `-p` would start from an empty potential."""
    fit = {name: value for name, value in values['fit'].items() if not name.startswith('ladder_')}
    return {**values, 'fit': fit}


def input_text(values: Mapping[str, Any]) -> str:
    """Return the text of `input.yaml`."""
    return yaml.safe_dump(dict(values), sort_keys=False, default_flow_style=None)


def read_input(text: str) -> dict[str, Any]:
    """Return the content of an `input.yaml`.

    :raises InputError: the text is not YAML, or no mapping.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f'{INPUT}: not valid YAML: {" ".join(str(error).split())}') from error
    if not isinstance(values, dict):
        raise InputError(f'{INPUT}: must be a mapping of keys and values, got {values!r}')
    return values
