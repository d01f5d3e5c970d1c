"""What a configuration lets expect is what its generator gives."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from aiida_mlip_autopipe.config.expected import compositions_of, config_types_of, least_first
from aiida_mlip_autopipe.config.selection import FIRST
from aiida_mlip_autopipe.science.generate.collect import collect
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.selection.funnel import reduced_formulas
from tests.config.settings import config_with

SHUFFLED = {'method': 'shuffle', 'per_composition': 1}


def made(generate: dict[str, Any]) -> tuple[Any, Any]:
    """Return the configuration and the frames that it gives."""
    config = config_with({'generate': {'sqs': SHUFFLED, **generate}})
    return config, collect(structure_builder(config.system.model_dump(), config.generate.model_dump()), 0)[0]


CASES = [
    {},
    {'vacancy': {'count': 2, 'n_vacancies': 2}},
    {'eos': {'count': 4}, 'elastic': {}, 'phonon': {}, 'deform': {'shear': [0.02]}},
    {'ordered': {}, 'antisite': {}, 'swap': {}, 'interstitial': {'count': 1}, 'divacancy': {}, 'frenkel': {}},
    {'surface': {}, 'stacking_fault': {'count': 1}, 'dimer': {'count': 2}, 'isolated_atom': {}},
]


@pytest.mark.parametrize('generate', CASES)
def test_config_types(generate: dict[str, Any]) -> None:
    config, frames = made(generate)
    expected = config_types_of(config.generate)
    assert expected is not None
    assert set(frames.config_type.tolist()) <= expected


@pytest.mark.parametrize('generate', CASES)
def test_compositions(generate: dict[str, Any]) -> None:
    config, frames = made(generate)
    expected = compositions_of(config.system, config.generate)
    assert expected is None or set(reduced_formulas(frames)) <= expected
    assert (expected is None) == bool({'ordered', 'surface'} & set(generate))


@pytest.mark.parametrize('generate', CASES)
def test_at_least_so_many_come_first(generate: dict[str, Any]) -> None:
    config, frames = made(generate)
    counts = Counter(frames.config_type.tolist())
    for name, least in least_first(config.system, config.generate, FIRST).items():
        assert 0 < least <= counts[name], name
