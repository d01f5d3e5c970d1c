import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.train_functions import summarize_training

ERRORS = {'energy_rmse': 0.01, 'force_rmse': 0.1, 'stress_rmse': 0.001}
TEST_ERRORS = {'energy_rmse': 0.02, 'force_rmse': 0.2, 'stress_rmse': None}


def summarize(train=ERRORS, gamma=1.0):
    return summarize_training(
        orm.Dict({'training_errors': ERRORS, 'engine': 'pod'}),
        orm.Dict({'errors': train, 'gamma_max': gamma}),
        orm.Dict({'errors': TEST_ERRORS, 'gamma_max': 7.0}),
    ).get_dict()


def test_a_good_training():
    report = summarize()
    assert report['failed_checks'] == []
    assert report['fit'] == {'training_errors': ERRORS, 'engine': 'pod'}
    assert report['train_errors'] == ERRORS
    assert report['test_errors'] == TEST_ERRORS
    assert (report['gamma_train_max'], report['gamma_max']) == (1.0, 7.0)


@pytest.mark.parametrize('name', list(ERRORS))
def test_a_disagreement_with_lammps_is_a_failed_check(name):
    (check,) = summarize(train={**ERRORS, name: 0.5})['failed_checks']
    assert check.startswith(f'{name} is ')


def test_a_grade_above_one_on_the_training_atoms_is_a_failed_check():
    assert len(summarize(gamma=1.2)['failed_checks']) == 1


def test_a_potential_without_grade_has_nothing_to_fail():
    assert summarize(gamma=None)['failed_checks'] == []
