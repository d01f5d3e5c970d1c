import itertools

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.ace.basis import (
    SIZES,
    add_core,
    basis_configuration,
    functions_per_element,
    least_functions,
)
from aiida_mlip_autopipe.engines.ace.core import CORE_INNER, CORE_OUTER
from tests import pod_data

pyace = pytest.importorskip('pyace')

CUTOFF = 5.0
DISTANCES = {('Al', 'Al'): 2.5, ('Al', 'Mg'): 2.6, ('Mg', 'Mg'): 2.8}


def functions(elements, count):
    return functions_per_element(pyace.ACEBBasisSet(basis_configuration(elements, count, CUTOFF)))


@pytest.mark.parametrize('elements', [('Si',), ('Mg', 'Al'), ('Mg', 'Al', 'Zn')])
@pytest.mark.parametrize('size', [20, 40, 80, 160])
def test_every_size_has_nearly_its_number_of_functions(elements, size):
    """The functions are shared between the pairs and triples of elements, so that some may be left."""
    found = functions(elements, size)
    assert len(found) == len(elements)
    assert (found <= size).all()
    assert (found >= 0.8 * size).all()


@pytest.mark.parametrize('size', [300, 600])
def test_large_sizes(size):
    found = functions(('Al', 'Mg'), size)
    assert (found <= size).all()
    assert (found >= 0.9 * size).all()


@pytest.mark.parametrize('count', [10, 25, 119])
def test_any_number_between(count):
    found = functions(('Al', 'Mg'), count)
    assert (found <= count).all()
    assert (found >= 0.8 * count).all()


def test_sizes_rise():
    counts = [functions(('Si',), size).sum() for size in SIZES]
    assert all(small < large for small, large in itertools.pairwise(counts))


def test_the_energy_is_linear():
    """One density to the power of one: twice the coefficients, twice the energy."""
    basis = pyace.ACEBBasisSet(basis_configuration(('Cu', 'Au'), 20, 4.5))
    atoms = pod_data.alloy(np.random.default_rng(0))
    energies = []
    for factor in (0.0, 1.0, 2.0):
        basis.basis_coeffs = (factor * np.linspace(-1, 1, len(basis.basis_coeffs))).tolist()
        atoms.calc = pyace.PyACECalculator(pyace.ACEBBasisSet(basis.to_BBasisConfiguration()))
        energies.append(atoms.get_potential_energy())
    assert energies[0] == 0.0
    assert energies[1] != 0.0
    assert energies[2] == pytest.approx(2 * energies[1], rel=1e-10)


@pytest.mark.parametrize(('n_elements', 'least'), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 31), (10, 256)])
def test_each_combination_needs_a_function(n_elements, least):
    assert least_functions(n_elements) == least


@pytest.mark.parametrize('n_elements', [2, 3, 4])
def test_so_many_make_a_basis_and_one_less_is_refused(n_elements):
    elements, least = ['Al', 'Cu', 'Mg', 'Zn'][:n_elements], least_functions(n_elements)
    assert functions(elements, least).min() >= 1
    with pytest.raises(InputError, match=f'functions: got {least - 1}; with {n_elements} elements each has {least} combinations'):
        basis_configuration(elements, least - 1, CUTOFF)


class TestCore:
    def blocks(self, elements=('Mg', 'Al'), distances=DISTANCES):
        configuration = basis_configuration(elements, 20, CUTOFF)
        add_core(configuration, distances)
        return {block.block_name: block for block in configuration.funcspecs_blocks}

    def test_it_lies_below_the_shortest_distance_of_each_pair(self):
        blocks = self.blocks()
        for name, pair in {'Al': ('Al', 'Al'), 'Mg': ('Mg', 'Mg'), 'Al Mg': ('Al', 'Mg'), 'Mg Al': ('Al', 'Mg')}.items():
            block = blocks[name]
            assert block.r_in == pytest.approx(CORE_OUTER * DISTANCES[pair])
            assert block.r_in - block.delta_in == pytest.approx(CORE_INNER * DISTANCES[pair])
            assert block.inner_cutoff_type == 'zbl'
            assert list(block.core_rep_parameters) == [1.0, 1.0]

    def test_blocks_of_three_elements_have_none(self):
        distances = dict.fromkeys(itertools.combinations_with_replacement(('Al', 'Mg', 'Zn'), 2), 2.5)
        configuration = basis_configuration(('Al', 'Mg', 'Zn'), 160, CUTOFF)
        add_core(configuration, distances)
        for block in configuration.funcspecs_blocks:
            is_pair = len(block.block_name.split()) < 3
            assert (block.inner_cutoff_type == 'zbl') is is_pair
