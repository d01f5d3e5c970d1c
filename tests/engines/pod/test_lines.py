import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.pod.files import grade_lines, pair_lines
from aiida_mlip_autopipe.science.linear.core import ZblCore


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
