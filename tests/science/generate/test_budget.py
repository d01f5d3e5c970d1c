"""Budgets: exactly as many structures as asked for, by weights, or the reason why not."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.budget import PATIENCE, Budget, shares
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sieve import Tally
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import BULK, Kind, Step, Strategy, System
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies

SYSTEM = System(('Al', 'Mg'), 'fcc', (({'Al': 1.0},), ({'Al': 0.5, 'Mg': 0.5},)), {'Al': 4.05, 'Mg': 4.5}, ((2, 2, 2),))
STEPS = (
    Step('sqs', SQS(per_composition=1, steps=50, cutoffs=(5.0,))),
    Step('strain', Strain(count=0, hydrostatic=(-0.02, 0.02))),
    Step('rattle', Rattle(count=3, stdev=0.1, of=(BULK, 'strain'))),
    Step('vacancy', Vacancies(count=1, of=('rattle',))),
)
BUILDER = StructureBuilder(SYSTEM, STEPS)


def build(budget: Budget, builder: StructureBuilder = BUILDER) -> tuple[Counter[str], Tally]:
    tally = Tally()
    structures = list(dataclasses.replace(builder, budget=budget).build(np.random.default_rng(0), tally))
    assert len({atoms.info['uid'] for atoms in structures}) == len(structures) == tally.kept
    return Counter(atoms.info['config_type'] for atoms in structures), tally


@given(total=st.integers(0, 5000), weights=st.lists(st.floats(0.01, 10), min_size=1, max_size=6))
def test_shares_add_up_and_are_nearest(total: int, weights: list[float]) -> None:
    named = {str(index): weight for index, weight in enumerate(weights)}
    found = shares(total, named)
    assert sum(found.values()) == total
    assert all(abs(found[name] - total * weight / sum(weights)) < 1 + 1e-6 for name, weight in named.items())


@pytest.mark.parametrize('n_structures', [6, 7, 50, 203, 5000])
def test_exactly_as_many(n_structures: int) -> None:
    kinds, tally = build(Budget(n_structures))
    assert kinds.total() == n_structures
    assert tally.stopped == ''


def test_counts_are_the_weights() -> None:
    kinds, _ = build(Budget(106))
    assert kinds == {'sqs': 2, 'strain': 4, 'rattle': 75, 'vacancy': 25}


def test_weights_of_the_budget_come_first() -> None:
    kinds, _ = build(Budget(106, {'vacancy': 3.0}))
    assert (kinds['rattle'], kinds['vacancy']) == (50, 50)


def test_bases_alone_are_more() -> None:
    with pytest.raises(InputError, match=r'budget.n_structures: got 3; bases and fixed sets alone are more'):
        build(Budget(3))


def test_what_stopped_it_is_told() -> None:
    pure = dataclasses.replace(SYSTEM, elements=('Al',), alloys=(({'Al': 1.0},),))
    only_vacancies = StructureBuilder(pure, (STEPS[0], Step('vacancy', Vacancies(count=1, of=(BULK,)))))
    kinds, tally = build(Budget(10), only_vacancies)
    assert kinds == {'sqs': 1, 'vacancy': 1}  # all sites of a perfect crystal are alike
    assert tally.stopped.startswith('2 of 10 structures: no strategy that draws at random has anything new')
    assert tally.stopped.endswith('within 100 trials (vacancy: equivalent)')


def test_nothing_that_draws() -> None:
    kinds, tally = build(Budget(10), StructureBuilder(SYSTEM, STEPS[:2]))
    assert kinds == {'sqs': 2, 'strain': 4}
    assert tally.stopped == '6 of 10 structures: no strategy that draws at random is in the plan'


def test_no_weight_or_no_parents() -> None:
    kinds, tally = build(Budget(10, {'rattle': 0.0, 'vacancy': 1.0}))
    assert kinds == {'sqs': 2, 'strain': 4}  # vacancies are made of rattled structures here
    assert tally.stopped.endswith('(rattle: no parents, vacancy: no parents)')


class Cube(Strategy):
    """A base of its own family."""

    KIND = Kind.FREE
    IS_BULK = False

    def __call__(self, system: System, rng: np.random.Generator) -> Iterator[Atoms]:
        yield fresh_atoms(bulk('Cu', cubic=True), 'cube', 'origin')


def test_one_family_with_parents_among_many_without() -> None:
    """More families without parents than trials: they are passed over, and do not count as failures."""
    system = dataclasses.replace(SYSTEM, supercells=((4, 4, 4),))
    steps = (
        Step('sqs', SQS(per_composition=2 * PATIENCE, method='shuffle')),
        Step('cube', Cube()),
        Step('rattle', Rattle(count=1, stdev=0.1, of=('cube',))),
    )
    kinds, tally = build(Budget(240), StructureBuilder(dataclasses.replace(system, alloys=SYSTEM.alloys[1:]), steps))
    assert kinds == {'sqs': 200, 'cube': 1, 'rattle': 39}
    assert tally.stopped == ''


@pytest.mark.parametrize(('arguments', 'said'), [((0,), 'at least 1, got 0'), ((5, {'rattle': -1.0}), "got {'rattle': -1.0}")])
def test_out_of_range(arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Budget(*arguments)  # type: ignore[arg-type]
