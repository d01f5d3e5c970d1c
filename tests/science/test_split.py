"""The split by lineage: whole lineages, compositions and elements that stay, sizes, seeds and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.split import OVERSHOOT, lineage_split


def columns(*families):
    """Return lineages, compositions and elements of families (name, frames, composition as a tuple of elements)."""
    rows = [(name, elements) for name, size, elements in families for _ in range(size)]
    return [name for name, _ in rows], [''.join(elements) for _, elements in rows], [list(elements) for _, elements in rows]


def split(*families, fraction=0.2, seed=0):
    lineages, compositions, elements = columns(*families)
    is_test = lineage_split(lineages, compositions, elements, fraction=fraction, rng=np.random.default_rng(seed))
    return {name for name, tested in zip(lineages, is_test, strict=True) if tested}, is_test


def test_fraction_of_equal_lineages_is_met():
    tested, is_test = split(*((str(i), 5, ('Al',)) for i in range(10)))
    assert len(tested) == 2
    assert is_test.mean() == pytest.approx(0.2)
    assert is_test.dtype == bool


def test_only_lineage_of_a_composition_stays():
    families = [('lonely', 5, ('Al', 'Mg')), *((str(i), 5, ('Al',)) for i in range(4)), ('mg', 5, ('Mg',))]
    for seed in range(20):
        tested, _ = split(*families, seed=seed)
        assert len(tested) == 1
        assert tested <= {'0', '1', '2', '3'}


def test_without_twins_the_elements_decide():
    families = [('al', 5, ('Al',)), ('mg', 5, ('Mg',)), ('both', 5, ('Al', 'Mg')), ('si', 5, ('Si',))]
    seen = set()
    for seed in range(30):
        tested, _ = split(*families, fraction=0.25, seed=seed)
        assert len(tested) == 1
        seen |= tested
    assert seen == {'al', 'mg', 'both'}


def test_element_of_its_own_everywhere():
    with pytest.raises(InputError, match='none of 2 lineages can be tested: each holds an element'):
        split(('al', 5, ('Al',)), ('mg', 5, ('Mg',)))


def test_large_lineage_is_passed_over():
    families = [('large', 60, ('Al',)), *((str(i), 4, ('Al',)) for i in range(10))]
    for seed in range(20):
        tested, is_test = split(*families, fraction=0.1, seed=seed)
        assert 'large' not in tested
        assert 0.1 <= is_test.mean() <= OVERSHOOT * 0.1


def test_other_composition_is_chosen_before_overshooting():
    tested, _ = split(('a', 10, ('Al', 'Mg')), ('b', 10, ('Al', 'Mg')), ('c', 1, ('Al',)), fraction=0.1)
    assert tested == {'c'}


def test_smallest_when_all_overshoot():
    tested, _ = split(('a', 10, ('Al',)), ('b', 8, ('Al',)), ('c', 12, ('Al',)), fraction=0.01)
    assert tested == {'b'}


def test_two_lineages_give_one_for_each():
    tested, _ = split(('a', 3, ('Al',)), ('b', 3, ('Al',)), fraction=0.1)
    assert len(tested) == 1


def test_high_fraction_leaves_training():
    tested, is_test = split(*((str(i), 1, ('Al',)) for i in range(5)), fraction=0.99)
    assert len(tested) == 4
    assert not is_test.all()


def test_vacancy_does_not_make_a_composition_of_its_own():
    lineages = ['a', 'a', 'a', 'b', 'b', 'b']
    compositions = ['Al3Mg4', 'Al4Mg4', 'Al4Mg4', 'Al4Mg4', 'Al4Mg4', 'Al4Mg3']
    is_test = lineage_split(lineages, compositions, [['Al', 'Mg']] * 6, fraction=0.5, rng=np.random.default_rng(0))
    assert is_test.sum() == 3


def test_zero_fraction_and_nothing_at_all():
    assert not split(('a', 3, ('Al',)), fraction=0.0)[1].any()
    assert lineage_split([], [], [], fraction=0.0, rng=np.random.default_rng(0)).shape == (0,)


@pytest.mark.parametrize('families', [(), (('a', 9, ('Al',)),)])
def test_too_few_lineages(families):
    with pytest.raises(InputError, match=f'at least two lineages, got {len(families)}'):
        split(*families)


@pytest.mark.parametrize('fraction', [-0.1, 1.0, float('nan')])
def test_fraction_out_of_range(fraction):
    with pytest.raises(InputError, match='test fraction must lie'):
        split(('a', 3, ('Al',)), ('b', 3, ('Al',)), fraction=fraction)


def test_columns_of_different_length():
    with pytest.raises(InputError, match='differ in length: 2, 1, 2'):
        lineage_split(['a', 'b'], ['x'], [['Al'], ['Al']], fraction=0.1, rng=np.random.default_rng(0))


def test_seed_decides():
    families = [(str(i), 2, ('Al',)) for i in range(30)]
    assert split(*families, seed=1)[0] == split(*families, seed=1)[0]
    assert split(*families, seed=1)[0] != split(*families, seed=2)[0]


FAMILY = st.tuples(st.integers(1, 8), st.sampled_from([('Al',), ('Mg',), ('Al', 'Mg'), ('Al', 'Mg', 'Si')]))


@settings(max_examples=80, deadline=None)
@given(families=st.lists(FAMILY, min_size=2, max_size=12), fraction=st.floats(0.05, 0.6), seed=st.integers(0, 100))
def test_what_always_holds(families, fraction, seed):
    named = [(str(i), size, elements) for i, (size, elements) in enumerate(families)]
    try:
        tested, is_test = split(*named, fraction=fraction, seed=seed)
    except InputError:
        for name, _, elements in named:
            others = {e for other, _, es in named for e in es if other != name}
            assert not set(elements) <= others
        return
    lineages, _, elements = columns(*named)
    assert is_test.any()
    assert not is_test.all()
    assert [name in tested for name in lineages] == is_test.tolist()
    trained = {e for es, t in zip(elements, is_test, strict=True) for e in es if not t}
    assert trained == {e for es in elements for e in es}
    if is_test.sum() > OVERSHOOT * fraction * len(lineages):
        assert len(tested) == 1
