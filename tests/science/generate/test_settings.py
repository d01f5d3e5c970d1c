"""A builder out of settings: every value of the configuration arrives, and the builder builds."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.generate import GeneratorConfig
from aiida_mlip_autopipe.config.system import TargetSystem
from aiida_mlip_autopipe.science.generate.budget import Budget
from aiida_mlip_autopipe.science.generate.eos import EquationOfState
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.settings import PARENTS, structure_builder
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import GROUP, Drawing, Kind, System
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies

SYSTEM: dict[str, Any] = {
    'elements': ['Cu', 'Au'],
    'prototype': 'bcc',
    'lattice_parameters': {'Cu': 2.9, 'Au': 3.3},
    'compositions': [{'Cu': 1.0}, {'Cu': 0.25, 'Au': 0.75}],
    'supercells': [[2, 2, 1], [4, 1, 1]],
}
SECTIONS: dict[str, Any] = {
    'sqs': {'per_composition': 3, 'steps': 77, 'cutoffs': [4.0, 3.0]},
    'strain': {'count': 5, 'max_strain': 0.02, 'hydrostatic': [-0.01, 0.02]},
    'rattle': {'count': 6, 'stdev': 0.05},
    'vacancy': {'count': 7, 'n_vacancies': 2},
}


THEIRS = """
from aiida_mlip_autopipe.science.generate.strategy import Kind


class Twice:
    KIND = Kind.FIXED

    def __init__(self, axis):
        self.repeats = [2 if index == axis else 1 for index in range(3)]

    def __call__(self, given, rng):
        double = given.repeat(self.repeats)
        double.info = {'config_type': 'twice', 'origin': '{}'}
        double.positions[0] += rng.normal(size=3) * 0.1
        yield double
"""


def settings_of(**sections: Any) -> dict[str, Any]:
    return GeneratorConfig.model_validate({**SECTIONS, **sections}).model_dump()


def test_every_value_arrives() -> None:
    builder = structure_builder(SYSTEM, settings_of())
    assert builder.system == System(
        elements=('Cu', 'Au'),
        prototype='bcc',
        alloys=(({'Cu': 1.0},), ({'Cu': 0.25, 'Au': 0.75},)),
        lattice_parameters={'Cu': 2.9, 'Au': 3.3},
        supercells=((2, 2, 1), (4, 1, 1)),
    )
    assert [(step.name, step.strategy) for step in builder.steps] == [
        ('sqs', SQS(3, 77, (4.0, 3.0))),
        ('strain', Strain(5, 0.02, (-0.01, 0.02))),
        ('rattle', Rattle(6, 0.05)),
        ('vacancy', Vacancies(7, 2)),
    ]
    assert builder.budget is None


def test_limits_and_budget_arrive() -> None:
    checks = {'min_bond_fraction': 0.4, 'max_atoms': 7, 'duplicate_tolerance': 0.01, 'volume_per_atom': [0.5, 9.0]}
    builder = structure_builder(SYSTEM, settings_of(checks=checks, budget={'n_structures': 9, 'weights': {'rattle': 2}}))
    assert builder.budget == Budget(9, {'rattle': 2.0})
    assert (builder.checks.max_atoms, builder.checks.tolerance) == (7, 0.01)
    assert (builder.checks.sanity.min_bond_fraction, builder.checks.sanity.volume_per_atom) == (0.4, (0.5, 9.0))


def test_dumped_models_are_what_it_takes() -> None:
    system = TargetSystem.model_validate(SYSTEM)
    assert structure_builder(system.model_dump(), settings_of()) == structure_builder(SYSTEM, settings_of())


def every_section() -> dict[str, Any]:
    """Return all sections of the configuration with their defaults."""
    crystal = {'symbols': ['Cu'], 'cell': (2 * np.eye(3)).tolist(), 'scaled_positions': [[0, 0, 0]]}
    needed: dict[str, Any] = {'files': {'paths': ['a.cif']}, 'structures': {'nodes': [1]}, 'cells': {'cells': [crystal]}}
    return {name: needed.get(name, {}) for name in PARENTS}


@pytest.mark.parametrize('name', PARENTS)
def test_every_section_has_a_strategy_that_takes_its_settings(name: str) -> None:
    builder = structure_builder(SYSTEM, settings_of(**{name: every_section()[name]}))
    (step,) = [step for step in builder.steps if step.name == name]
    assert isinstance(step.strategy.KIND, Kind)
    assert (step.strategy.KIND is Kind.DRAWN) <= isinstance(step.strategy, Drawing)


def test_every_section_of_the_configuration_is_built() -> None:
    assert set(PARENTS) == set(GeneratorConfig.model_fields) - {'extra', 'checks', 'budget'}
    names = {point.name for point in metadata.entry_points(group=GROUP)}
    assert names >= {f'mlip_autopipe.{name}' for name in PARENTS}


def test_strategy_of_another_package() -> None:
    extra = {'strategy': 'mlip_autopipe.eos', 'settings': {'count': 3, 'volumes': [0.9, 1.1]}, 'of': ['sqs']}
    (*_, last) = structure_builder(SYSTEM, settings_of(extra=[extra])).steps
    assert (last.name, last.of, last.strategy) == ('mlip_autopipe.eos', ('sqs',), EquationOfState(3, (0.9, 1.1)))


def test_another_package_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'their_package.py').write_text(THEIRS, encoding='utf-8')
    record = tmp_path / 'their_package-1.0.dist-info'
    record.mkdir()
    (record / 'METADATA').write_text('Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n', encoding='utf-8')
    (record / 'entry_points.txt').write_text(f'[{GROUP}]\ntheirs.twice = their_package:Twice\n', encoding='utf-8')
    monkeypatch.syspath_prepend(str(tmp_path))
    builder = structure_builder(SYSTEM, settings_of(extra=[{'strategy': 'theirs.twice', 'settings': {'axis': 1}}]))
    made = [atoms for atoms in builder.build(np.random.default_rng(0)) if atoms.info['config_type'] == 'twice']
    assert made
    assert {len(atoms) for atoms in made} == {8}


def test_a_strategy_of_no_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EquationOfState, 'KIND', 'fixed')
    with pytest.raises(InputError, match=r"eos must have a KIND, a member of .*strategy.Kind; got 'fixed'"):
        structure_builder(SYSTEM, settings_of(eos={}))


@pytest.mark.parametrize(
    ('extra', 'said'),
    [
        ({'strategy': 'no.such'}, "'no.such' is no entry point of mlip_autopipe.strategies; registered here: mlip_autopipe."),
        ({'strategy': 'mlip_autopipe.eos', 'settings': {'counts': 3}}, 'does not take these settings: .*counts'),
        ({'strategy': 'mlip_autopipe.eos', 'settings': {'count': 1}}, 'at least 2 volumes'),
    ],
)
def test_strategy_that_cannot_be_used(extra: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        structure_builder(SYSTEM, settings_of(extra=[extra]))


def test_it_builds() -> None:
    pure = {
        **SYSTEM,
        'elements': ['Cu'],
        'lattice_parameters': {'Cu': 2.9},
        'compositions': [{'Cu': 1.0}],
        'supercells': [[2, 2, 1]],
    }
    builder = structure_builder(pure, settings_of(vacancy={'count': 2, 'n_vacancies': 1}))
    kinds = [atoms.info['config_type'] for atoms in builder.build(np.random.default_rng(0))]
    assert {kind: kinds.count(kind) for kind in kinds} == {'sqs': 1, 'strain': 7, 'rattle': 6, 'vacancy': 2}
