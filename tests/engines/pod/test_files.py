import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.engines.pod.files import (
    BASIS_SETS,
    coefficient_text,
    grade_lines,
    pair_lines,
    parameter_text,
)
from aiida_mlip_autopipe.science.linear.core import ZblCore

PARAMETERS_S = """species Cu Au
pbc 1 1 1
rin 1
rcut 4.5
bessel_polynomial_degree 4
inverse_polynomial_degree 8
onebody 1
twobody_number_radial_basis_functions 6
threebody_number_radial_basis_functions 4
threebody_angular_degree 3
fourbody_number_radial_basis_functions 0
fourbody_angular_degree 0
fivebody_number_radial_basis_functions 0
fivebody_angular_degree 0
"""


def test_parameter_text_is_the_stored_one():
    assert parameter_text(['Cu', 'Au'], 'S', 4.5) == PARAMETERS_S


def test_numpy_numbers_are_written_as_plain_numbers():
    assert parameter_text(['Cu', 'Au'], 'S', np.float64(4.5), np.float64(1.0)) == PARAMETERS_S


@pytest.mark.parametrize('basis', list(BASIS_SETS))
def test_radial_functions_do_not_grow_with_the_body_order(basis):
    size = BASIS_SETS[basis]
    orders = [size.two, size.three[0], size.four[0], size.five[0]]
    assert orders == sorted(orders, reverse=True)  # LAMMPS refuses anything else


@pytest.mark.parametrize(
    ('elements', 'basis', 'cutoff', 'named'),
    [
        (['Cu'], 'XL', 4.5, "'XL'"),
        ([], 'S', 4.5, 'elements'),
        (['Cu', 'Cu'], 'S', 4.5, 'elements'),
        (['Cu'], 'S', 0.9, '0.9'),
        (['Cu'], 'S', float('nan'), 'nan'),
    ],
)
def test_parameter_text_refuses(elements, basis, cutoff, named):
    with pytest.raises(InputError, match=named):
        parameter_text(elements, basis, cutoff)


def test_coefficients_come_back_exactly():
    values = np.random.default_rng(0).normal(size=122) * 10.0 ** np.random.default_rng(1).uniform(-12, 5, 122)
    head, *lines = coefficient_text(values).splitlines()
    assert head == 'model_coefficients: 122 0 0'
    np.testing.assert_array_equal([float(line) for line in lines], values)


def test_coefficients_that_are_not_finite_are_not_written():
    with pytest.raises(FormatError, match='coefficient 1 of 3'):
        coefficient_text(np.array([0.0, np.nan, 1.0]))


@pytest.mark.parametrize(('inner', 'outer'), [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)])
def test_core_refuses_distances_that_contradict(inner, outer):
    with pytest.raises(InputError, match='ZBL core'):
        ZblCore(inner, outer)


def test_pair_lines_with_core():
    assert pair_lines(['Cu', 'Au'], ZblCore(1.2, 1.6)) == [
        'pair_style hybrid/overlay pod zbl 1.2 1.6',
        'pair_coeff * * pod param.pod model.pod Cu Au',
        'pair_coeff 1 1 zbl 29 29',
        'pair_coeff 1 2 zbl 29 79',
        'pair_coeff 2 2 zbl 79 79',
    ]


def test_pair_lines_without_core():
    assert pair_lines(['Cu'], None) == ['pair_style pod', 'pair_coeff * * param.pod model.pod Cu']


def test_elements_keep_the_order_of_the_file():
    assert pair_lines(['Au', 'Cu'], None)[1].endswith('Au Cu')
    assert grade_lines(['Au', 'Cu'])[0].endswith('Au Cu')


def test_grade_lines():
    assert grade_lines(['Cu', 'Au'], 'fit/') == ['compute grade all pod/atom fit/param.pod fit/model.pod Cu Au']


def test_a_folder_with_a_space_is_quoted():
    assert pair_lines(['Cu'], None, '/a b')[1] == 'pair_coeff * * "/a b/param.pod" "/a b/model.pod" Cu'


def test_a_path_that_lammps_would_expand_is_refused():
    with pytest.raises(InputError, match='dollar'):
        pair_lines(['Cu'], None, '/a$b')
