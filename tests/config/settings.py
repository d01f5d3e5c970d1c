"""A small valid configuration, and what is told when one value of it is changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig

LEFT_OUT = object()
"""In place of a value: the key is taken away."""

DFT = {'labeller': 'mlip_autopipe.label', 'pseudo_family': 'SSSP', 'cutoff_wfc': 40}

VALID: dict[str, Any] = {
    'system': {
        'elements': ['Cu', 'Au'],
        'prototype': 'fcc',
        'lattice_parameters': {'Cu': 3.59, 'Au': 4.06},
        'compositions': [{'Cu': 1.0}, {'Cu': 0.5, 'Au': 0.5}, {'Au': 1.0}],
    },
    'label': {'labeller': 'mlip_autopipe.label_ase'},
}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the valid configuration with some values exchanged.

    :param changes: new value by place, such as `explore.steps`.
    """
    values = copy.deepcopy(VALID)
    for place, value in changes.items():
        *parents, last = place.split('.')
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        if value is LEFT_OUT:
            del target[last]
        else:
            target[last] = value
    return values


def config_with(changes: dict[str, Any]) -> MLIPConfig:
    return MLIPConfig.from_mapping(changed(changes))


def mistakes_in(changes: dict[str, Any]) -> list[str]:
    """Return the lines that a configuration with these values is refused with."""
    with pytest.raises(InputError) as caught:
        config_with(changes)
    return str(caught.value).splitlines()
