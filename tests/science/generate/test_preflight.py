"""The trial before a build: it names each strategy that cannot do what is asked, once, and leaves the build as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.preflight import problems_of
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.stacking_fault import StackingFaults
from aiida_mlip_autopipe.science.generate.strategy import Kind, Step, Strategy, System
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies

SYSTEM = System(('Al', 'Mg'), 'fcc', (({'Al': 1.0},), ({'Al': 0.5, 'Mg': 0.5},)), {'Al': 4.05, 'Mg': 4.5}, ((2, 2, 2), (2, 2, 1)))


def problems(*strategies: Any, system: System = SYSTEM) -> list[str]:
    steps = tuple(Step(f'step {index}', strategy) for index, strategy in enumerate(strategies))
    return problems_of(StructureBuilder(system, steps), np.random.default_rng(0))


def test_nothing_is_wrong() -> None:
    assert problems(SQS(), Rattle(count=1, stdev=0.1), Vacancies(count=1), StackingFaults()) == []


def test_each_problem_once() -> None:
    found = problems(
        SQS(), Vacancies(count=1, n_vacancies=4), Rattle(count=1, stdev=0.1, min_distance=4.0), StackingFaults(layers=7)
    )
    assert [text.split(':')[0] for text in found] == ['vacancies', 'rattle', 'stacking_fault']
    assert '4 of 4 atoms cannot be removed' in found[0]  # of the smaller supercell


def test_what_is_not_drawn_is_not_tried() -> None:
    assert problems(SQS(), Vacancies(count=0, n_vacancies=99)) == []


def test_a_lattice_that_cannot_be_built() -> None:
    heavy = System(('Rf',), 'bcc', (({'Rf': 1.0},),), {}, ((1, 1, 1),))
    assert 'unknown to the table of radii' in problems(SQS(), system=heavy)[0]


class Broken(Strategy):
    KIND = Kind.FIXED
    error: Any

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Any:
        raise self.error


def test_a_program_that_is_missing_here_may_be_where_the_job_runs() -> None:
    assert problems(Broken(error=EngineError('phonopy cannot be imported'))) == []
    assert problems(Broken(error=InputError('wrong'))) == ['wrong']
