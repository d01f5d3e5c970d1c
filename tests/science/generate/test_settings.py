"""A builder out of settings: every value of the configuration arrives, and the builder builds."""

from __future__ import annotations

import json
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
from aiida_mlip_autopipe.science.generate.settings import _check, strategies, structure_builder
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import BULK, GROUP, Drawing, Kind, System
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies
from tests.their_package import said_with

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
from ase import Atoms
from pydantic import Field
from aiida_mlip_autopipe.science.generate.strategy import Kind, Strategy


class Twice(Strategy):
    '''Twice as large.'''

    KIND = Kind.FIXED
    CONFIG_TYPES = frozenset({'twice'})
    axis: int = Field(ge=0, lt=3, description='lattice vector')

    def __call__(self, given, rng):
        double = given.repeat([2 if index == self.axis else 1 for index in range(3)])
        double.info = {'config_type': 'twice', 'origin': '{}'}
        double.positions[0] += rng.normal(size=3) * 0.1
        yield double


class Plain(Strategy):
    '''A strategy without settings.'''

    KIND = Kind.FREE
    CONFIG_TYPES = frozenset({'plain'})
    IS_BULK = False

    def __call__(self, given, rng):
        atoms = Atoms(given.elements[0], cell=[2.5] * 3, pbc=True)
        atoms.info.update(config_type='plain', origin='{}')
        yield atoms
"""

USE = """
import json
import numpy as np
from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.settings import explain
from aiida_mlip_autopipe.config.generate import GeneratorConfig
from aiida_mlip_autopipe.science.generate.settings import strategy, structure_builder
from pydantic import ValidationError

values = GeneratorConfig.model_validate({{'theirs_twice': {{'axis': 1}}, 'theirs_plain': {{}}}}).model_dump()
made = list(structure_builder({system}, values).build(np.random.default_rng(0)))
plain = sum(atoms.info['config_type'] == 'plain' for atoms in made)
sizes = sorted({{len(atoms) for atoms in made if atoms.info['config_type'] == 'twice'}})
try:
    GeneratorConfig.model_validate({{'theirs_twice': {{'axis': 3}}}})
except ValidationError as error:
    mistake = explain(error, GeneratorConfig)
try:
    strategy('theirs_broken')
except EngineError as error:
    broken = str(error)
print(json.dumps([sizes, plain, mistake, broken]))
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
        ('sqs', SQS(per_composition=3, steps=77, cutoffs=(4.0, 3.0))),
        ('strain', Strain(count=5, max_strain=0.02, hydrostatic=(-0.01, 0.02))),
        ('rattle', Rattle(count=6, stdev=0.05)),
        ('vacancy', Vacancies(count=7, n_vacancies=2)),
    ]
    assert builder.budget is None


def test_limits_and_budget_arrive() -> None:
    checks = {'min_bond_fraction': 0.4, 'max_atoms': 7, 'duplicate_tolerance': 0.01, 'volume_per_atom': [0.5, 9.0]}
    builder = structure_builder(SYSTEM, settings_of(checks=checks, budget={'n_structures': 9, 'weights': {'rattle': 2}}))
    assert builder.budget == Budget(9, {'rattle': 2.0})
    assert (builder.limits.max_atoms, builder.limits.tolerance) == (7, 0.01)
    assert (builder.limits.sanity.min_bond_fraction, builder.limits.sanity.volume_per_atom) == (0.4, (0.5, 9.0))


def test_dumped_models_are_what_it_takes() -> None:
    system = TargetSystem.model_validate(SYSTEM)
    assert structure_builder(system.model_dump(), settings_of()) == structure_builder(SYSTEM, settings_of())


def every_section() -> dict[str, Any]:
    """Return all sections of the configuration with their defaults."""
    crystal = {'symbols': ['Cu'], 'cell': (2 * np.eye(3)).tolist(), 'scaled_positions': [[0, 0, 0]]}
    needed: dict[str, Any] = {'files': {'paths': ['a.cif']}, 'structures': {'nodes': [1]}, 'cells': {'cells': [crystal]}}
    return {name: needed.get(name, {}) for name in strategies()}


@pytest.mark.parametrize('name', strategies())
def test_every_section_has_a_strategy_that_takes_its_settings(name: str) -> None:
    builder = structure_builder(SYSTEM, settings_of(**{name: every_section()[name]}))
    (step,) = [step for step in builder.steps if step.name == name]
    assert isinstance(step.strategy.KIND, Kind)
    assert (step.strategy.KIND is Kind.DRAWN) <= isinstance(step.strategy, Drawing)


def test_every_strategy_is_a_section_of_the_configuration() -> None:
    assert set(strategies()) == set(GeneratorConfig.model_fields) - {'checks', 'budget'}


def test_parents_come_before_their_children() -> None:
    place = {name: index for index, name in enumerate(strategies())}
    for name, kind in strategies().items():
        parents = {*kind.PARENTS, *kind.OTHERWISE} - {BULK} if kind.KIND in (Kind.FIXED, Kind.DRAWN) else set()
        assert all(place[parent] < place[name] for parent in parents), name


def test_another_package_is_a_section_with_the_name_of_its_entry_point(tmp_path: Path) -> None:
    points = {
        'theirs.twice': 'their_package:Twice',
        'theirs.plain': 'their_package:Plain',
        'theirs.broken': 'no_such_package:Thrice',
    }
    sizes, plain, mistake, broken = json.loads(said_with(tmp_path, THEIRS, GROUP, points, USE.format(system=SYSTEM)))
    assert sizes == [8]
    assert plain == 1, 'it has no settings'
    assert mistake == 'theirs_twice.axis: got 3; input should be less than 3 (lattice vector)'
    assert 'theirs.broken of mlip_autopipe.strategies cannot be imported on this machine' in broken


def test_what_is_no_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r'must be a subclass of .*strategy\.Strategy; got <class .dict.>'):
        _check('theirs.one', dict)
    monkeypatch.setattr(EquationOfState, 'KIND', 'fixed')
    with pytest.raises(InputError, match=r"eos must have a KIND, a member of .*strategy.Kind; got 'fixed'"):
        _check('mlip_autopipe.eos', EquationOfState)


@pytest.mark.parametrize(
    ('name', 'settings', 'said'),
    [
        ('no.such', {'a': 1}, "'no.such' is no entry point of mlip_autopipe.strategies; registered here: mlip_autopipe."),
        ('eos', {'counts': 3}, 'generate.eos.counts: unknown key; did you mean .count'),
        ('eos', {'count': 1}, 'generate.eos.count: got 1; input should be greater than or equal to 2'),
    ],
)
def test_a_strategy_that_cannot_be_used(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        structure_builder(SYSTEM, {**settings_of(), name: settings})


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
