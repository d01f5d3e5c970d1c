import pytest

from aiida_mlip_autopipe.engines.ace.errors import PACKAGE, REMEDY, explain_refusal
from aiida_mlip_autopipe.engines.lammps.log import read_log
from tests.lammps_pace_data import recorded

EXPLANATIONS = {
    'badelem': 'was not fitted for this element',
    'gammanoprior': 'must be pace/extrapolation',
    'noasi': 'active set (.asi) does not exist',
    'nofile': 'does not exist, or is no .ace or .yace',
    'wrongasi': 'of other elements',
    'wrongsizeasi': 'belongs to another potential; remake it',
    'yaceinext': 'reads the .yaml of the potential, not the .yace',
}


@pytest.mark.parametrize('case', EXPLANATIONS)
def test_every_recorded_refusal_is_explained(case):
    assert EXPLANATIONS[case] in explain_refusal(read_log(recorded(f'err/{case}.out')).message)


@pytest.mark.parametrize('name', ['err/noplug.out', 'err/other.out', 'lost.out', 'hot.out', 'cold.out'])
def test_other_ends_are_no_refusal(name):
    assert explain_refusal(read_log(recorded(name)).message) == ''


def test_the_explanations_differ():
    assert len(set(EXPLANATIONS.values())) == len(EXPLANATIONS)


def test_the_remedy_names_the_package_and_where_to_get_it():
    assert f'PKG_{PACKAGE}=on' in REMEDY
    assert 'conda-forge' in REMEDY
