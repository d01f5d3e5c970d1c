"""The stream of first structures: numbers, family trees, seeds, laziness and independence of its parts."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.science.generate.budget import Budget
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import BULK, Step, System
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies

SYSTEM = System(
    elements=('Al', 'Mg'),
    prototype='fcc',
    alloys=(({'Al': 1.0},), ({'Al': 0.5, 'Mg': 0.5},)),
    lattice_parameters={'Al': 4.05, 'Mg': 4.5},
    supercells=((2, 2, 2),),
)
STRAINED = (BULK, 'strain')
STEPS = {
    'sqs': Step('sqs', SQS(per_composition=2, steps=100, cutoffs=(5.0,))),
    'strain': Step('strain', Strain(count=2, max_strain=0.05, hydrostatic=(0.02,))),
    'rattle': Step('rattle', Rattle(count=4, stdev=0.1, of=STRAINED)),
    'vacancy': Step('vacancy', Vacancies(count=2)),
}
BUILDER = StructureBuilder(SYSTEM, tuple(STEPS.values()))
ALUMINIUM = dataclasses.replace(SYSTEM, elements=('Al',), alloys=(({'Al': 1.0},),))
PURE = StructureBuilder(ALUMINIUM, BUILDER.steps)


def with_steps(builder, *names, **changed):
    """Return the builder with the steps that are named, some of them with another strategy."""
    steps = (dataclasses.replace(STEPS[name], strategy=changed.get(name, STEPS[name].strategy)) for name in names)
    return dataclasses.replace(builder, steps=tuple(steps))


def with_system(builder, **changes):
    return dataclasses.replace(builder, system=dataclasses.replace(builder.system, **changes))


def build(builder=BUILDER, seed=0):
    return list(builder.build(np.random.default_rng(seed)))


@pytest.fixture(scope='module')
def structures():
    return build()


def test_numbers_of_a_pure_family():
    kinds = Counter(a.info['config_type'] for a in build(PURE))
    assert kinds == {'sqs': 1, 'strain': 3, 'rattle': 4, 'vacancy': 2}


def test_numbers_of_all(structures):
    kinds = Counter(a.info['config_type'] for a in structures)
    assert kinds['sqs'] in (2, 3)  # two quasirandom runs may meet in a cell of eight atoms
    assert kinds['rattle'] == 4 * 3
    assert kinds['vacancy'] == 2 * 3


def test_no_uid_twice_and_all_are_true(structures):
    uids = [a.info['uid'] for a in structures]
    assert len(set(uids)) == len(uids)
    assert uids == [uid_of(a) for a in structures]


def test_family_tree(structures):
    known = {}
    allowed = {'strain': {'sqs'}, 'rattle': {'sqs', 'strain'}, 'vacancy': {'rattle'}}
    for atoms in structures:
        info = atoms.info
        if info['config_type'] == 'sqs':
            assert info['parent'] == ''
            assert info['lineage'] == info['uid']
        else:
            parent = known[info['parent']]  # a parent comes before its children
            assert parent['config_type'] in allowed[info['config_type']]
            assert parent['lineage'] == info['lineage']
        known[info['uid']] = info


def test_rattled_come_from_bases_and_strained():
    many = with_steps(PURE, 'sqs', 'strain', 'rattle', rattle=Rattle(count=40, stdev=0.1))
    structures = build(many)
    kinds = {a.info['uid']: a.info['config_type'] for a in structures}
    parents = Counter(kinds[a.info['parent']] for a in structures if a.info['config_type'] == 'rattle')
    assert set(parents) == {'sqs', 'strain'}


def test_vacancies_without_rattle():
    structures = build(with_steps(PURE, 'sqs', 'strain', 'vacancy'))
    kinds = {a.info['uid']: a.info['config_type'] for a in structures}
    assert {kinds[a.info['parent']] for a in structures if a.info['config_type'] == 'vacancy'} <= {'sqs', 'strain'}


def test_bases_only():
    assert [a.info['config_type'] for a in build(with_steps(PURE, 'sqs'))] == ['sqs']


def test_same_seed_same_stream(structures):
    again = build()
    assert [a.info for a in again] == [a.info for a in structures]
    for one, other in zip(again, structures, strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)
    assert [a.info['uid'] for a in build(seed=1)] != [a.info['uid'] for a in structures]


def test_consumer_may_draw_and_change(structures):
    rng = np.random.default_rng(0)
    uids = []
    for atoms in BUILDER.build(rng):
        uids.append(atoms.info['uid'])
        rng.normal(size=7)
        atoms.positions += 1.0
        atoms.numbers[:] = 1
        atoms.cell[:] *= 2.0
        atoms.info.clear()
    assert uids == [a.info['uid'] for a in structures]


@pytest.mark.parametrize('budget', [None, Budget(60)])
def test_nothing_is_shared_between_structures(budget):
    made = build(dataclasses.replace(BUILDER, budget=budget))
    arrays = [(a.positions, a.numbers, a.cell.array, a.pbc) for a in made]
    for one, other in itertools.combinations(arrays, 2):
        assert not any(np.shares_memory(first, second) for first, second in zip(one, other, strict=True))
    assert len({id(a.info) for a in made}) == len(made)


def test_memory_of_a_stream():
    """What a stream of 2,000 holds more than one of 1,000 is what it remembers of each to find repeats: 64 atoms, 48 numbers."""
    steps = (Step('sqs', SQS(per_composition=1, method='shuffle')), Step('rattle', Rattle(count=1, stdev=0.1)))
    system = dataclasses.replace(SYSTEM, alloys=SYSTEM.alloys[1:], supercells=((4, 4, 4),))
    peaks = []
    for count in (100, 1000, 2000):  # the first loads what is loaded once
        tracemalloc.start()
        assert sum(1 for _ in StructureBuilder(system, steps, budget=Budget(count)).build(np.random.default_rng(0))) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[2] - peaks[1]) / 1000 < 5000


def test_streams_do_not_share_state(structures):
    one, other = BUILDER.build(np.random.default_rng(0)), BUILDER.build(np.random.default_rng(0))
    pairs = list(zip(one, other, strict=True))
    assert all(a.info == b.info and a is not b for a, b in pairs)
    assert len(pairs) == len(structures)


def test_distortions_leave_the_bases_alone():
    bare = with_steps(BUILDER, 'sqs', 'rattle', rattle=Rattle(count=1, stdev=0.2))
    bases = [[a.info['uid'] for a in build(b) if a.info['config_type'] == 'sqs'] for b in (BUILDER, bare)]
    assert bases[0] == bases[1]


def test_stream_is_lazy():
    impossible_later = with_system(PURE, alloys=(({'Al': 1.0},), ({'Al': 0.9, 'Mg': 0.1},)))
    stream = impossible_later.build(np.random.default_rng(0))
    assert len(list(itertools.islice(stream, 3))) == 3
    with pytest.raises(InputError, match='whole numbers of atoms on 8 sites'):
        list(stream)


def test_repeated_composition_does_not_repeat_the_base():
    twice = with_steps(with_system(PURE, alloys=(({'Al': 1.0},), ({'Al': 1.0},))), 'sqs')
    assert len(build(twice)) == 1


def test_all_supercells():
    structures = build(with_steps(with_system(PURE, supercells=((1, 1, 2), (2, 2, 2))), 'sqs'))
    assert [len(a) for a in structures] == [2, 8]


def test_single_site_cannot_have_a_vacancy():
    with pytest.raises(InputError, match='1 of 1 atoms'):
        build(with_system(PURE, supercells=((1, 1, 1),)))


def test_frames_keep_the_metadata(structures):
    frames = Frames.from_atoms(structures)
    assert frames.uid.tolist() == [a.info['uid'] for a in structures]
    assert frames.parent.tolist() == [a.info['parent'] for a in structures]
    assert not frames.labelled.any()
