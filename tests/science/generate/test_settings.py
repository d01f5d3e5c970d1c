"""A builder out of settings: every value of the configuration arrives, and the builder builds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.config.generate import GeneratorConfig
from aiida_mlip_autopipe.config.system import TargetSystem
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies

SYSTEM: dict[str, Any] = {
    'elements': ['Cu', 'Au'],
    'prototype': 'bcc',
    'lattice_parameters': {'Cu': 2.9, 'Au': 3.3},
    'compositions': [{'Cu': 1.0}, {'Cu': 0.25, 'Au': 0.75}],
    'supercells': [[2, 2, 1], [4, 1, 1]],
}
GENERATE: dict[str, Any] = {
    'sqs': {'per_composition': 3, 'steps': 77, 'cutoffs': [4.0, 3.0]},
    'strain': {'count': 5, 'max_strain': 0.02, 'hydrostatic': [-0.01, 0.02]},
    'rattle': {'count': 6, 'stdev': 0.05},
    'vacancy': {'count': 7, 'n_vacancies': 2},
}


def test_every_value_arrives() -> None:
    assert structure_builder(SYSTEM, GENERATE) == StructureBuilder(
        prototype='bcc',
        compositions=({'Cu': 1.0}, {'Cu': 0.25, 'Au': 0.75}),
        lattice_parameters={'Cu': 2.9, 'Au': 3.3},
        supercells=((2, 2, 1), (4, 1, 1)),
        sqs_per_composition=3,
        sqs_steps=77,
        sqs_cutoffs=(4.0, 3.0),
        strain=Strain(5, 0.02, (-0.01, 0.02)),
        rattle=Rattle(6, 0.05),
        vacancies=Vacancies(7, 2),
    )


def test_dumped_models_are_what_it_takes() -> None:
    system, generate = TargetSystem.model_validate(SYSTEM), GeneratorConfig.model_validate(GENERATE)
    assert structure_builder(system.model_dump(), generate.model_dump()) == structure_builder(SYSTEM, GENERATE)


def test_it_builds() -> None:
    pure = {
        **SYSTEM,
        'elements': ['Cu'],
        'lattice_parameters': {'Cu': 2.9},
        'compositions': [{'Cu': 1.0}],
        'supercells': [[2, 2, 1]],
    }
    builder = structure_builder(pure, {**GENERATE, 'vacancy': {'count': 2, 'n_vacancies': 1}})
    kinds = [atoms.info['config_type'] for atoms in builder.build(np.random.default_rng(0))]
    assert {kind: kinds.count(kind) for kind in kinds} == {'sqs': 1, 'strain': 7, 'rattle': 6, 'vacancy': 2}


@pytest.mark.parametrize('section', GENERATE)
def test_missing_section(section: str) -> None:
    with pytest.raises(KeyError, match=section):
        structure_builder(SYSTEM, {name: value for name, value in GENERATE.items() if name != section})
