"""`GeneratorConfig`: defaults and bounds, and that nothing but a section of a strategy is taken."""

from __future__ import annotations

from typing import Any

import pytest

from aiida_mlip_autopipe.config.generate import GeneratorConfig
from tests.config.settings import config_with, mistakes_in


def test_defaults() -> None:
    config = GeneratorConfig()
    assert (config.sqs.per_composition, config.strain.count, config.rattle.count, config.vacancy.count) == (2, 3, 4, 1)


@pytest.mark.parametrize(
    ('place', 'value', 'said'),
    [
        ('sqs.per_composition', -1, 'greater than or equal to 0'),
        ('sqs.steps', 0, 'greater than 0'),
        ('sqs.cutoffs', [], 'at least 1 item'),
        ('strain.count', -1, 'greater than or equal to 0'),
        ('strain.max_strain', 0, 'greater than 0'),
        ('strain.max_strain', 0.4, 'less than 0.33'),
        ('rattle.count', -1, 'greater than or equal to 0'),
        ('rattle.stdev', 0, 'greater than 0'),
        ('rattle.stdev', 2, 'less than or equal to 1 (Å'),
        ('vacancy.count', -1, 'greater than or equal to 0'),
        ('vacancy.n_vacancies', 0, 'greater than 0'),
    ],
)
def test_out_of_bounds(place: str, value: Any, said: str) -> None:
    (line,) = mistakes_in({f'generate.{place}': value})
    assert line.startswith(f'generate.{place}: got {value!r}; ')
    assert said in line


@pytest.mark.parametrize(
    ('place', 'value', 'line'),
    [
        ('sqs.cutoffs', [5, 0], 'generate.sqs.cutoffs.1: got 0; input should be greater than 0 (Å, cluster radii'),
        ('strain.hydrostatic', [0.6], 'generate.strain.hydrostatic.0: got 0.6; input should be less than 0.5'),
        ('strain.hydrostatic', [-0.5], 'generate.strain.hydrostatic.0: got -0.5; input should be greater than -0.5'),
    ],
)
def test_member_of_a_list(place: str, value: list[float], line: str) -> None:
    assert mistakes_in({f'generate.{place}': value})[0].startswith(line)


@pytest.mark.parametrize(
    ('section', 'line'),
    [
        (
            {'ordered': {'prototypes': ['fcc']}},
            "generate.ordered.prototypes: got ['fcc']; ['fcc'] have no two sublattices; allowed are B1",
        ),
        ({'ordered': {'prototypes': ['L12']}}, "generate.ordered.prototypes.0: got 'L12'; input should be 'fcc', 'bcc'"),
        ({'rattle': {'einstein_temperature': 200}}, 'generate.rattle.temperature must be given with einstein_temperature, in K'),
        ({'deform': {'grid': {'zx': [0.1]}}}, "generate.deform.grid.zx: got 'zx'; input should be 'xx', 'yy'"),
        (
            {'vacancy': {'concentration': 1}},
            'generate.vacancy.concentration: got 1; input should be less than 1 (defects for each atom',
        ),
        ({'surface': {'thickness': 0}}, 'generate.surface.thickness: got 0; input should be greater than 0 (Å'),
        ({'structures': {'nodes': []}}, 'generate.structures.nodes: got []; list should have at least 1 item'),
        ({'eos': {'volumes': [1.2, 0.8]}}, 'generate.eos.volumes must grow, got [1.2, 0.8]'),
    ],
)
def test_sections_that_contradict_themselves(section: dict[str, Any], line: str) -> None:
    assert mistakes_in({'generate': section})[0].startswith(line)


def test_every_section_may_be_there_with_its_defaults() -> None:
    sections = ('ordered', 'deform', 'eos', 'elastic', 'phonon', 'divacancy', 'interstitial', 'antisite', 'swap', 'frenkel')
    others = ('surface', 'stacking_fault', 'dimer', 'isolated_atom', 'amorphous')
    config = config_with({'generate': {name: {} for name in (*sections, *others)}}).generate
    assert all(getattr(config, name) is not None for name in (*sections, *others))


def test_nothing_but_bases() -> None:
    nothing = {'strain': {'count': 0, 'hydrostatic': []}, 'rattle': {'count': 0}, 'vacancy': {'count': 0}}
    assert config_with({'generate': nothing}).generate.strain.hydrostatic == ()
