import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.train_functions import separate_references, summarize_training
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.checks.finding import Finding

ERRORS = {'energy_rmse': 0.01, 'force_rmse': 0.1, 'stress_rmse': 0.001}
TEST_ERRORS = {'energy_rmse': 0.02, 'force_rmse': 0.2, 'stress_rmse': None}
GROUPS = {'config_type': {'md': {'n_frames': 3}}}
DRIFT = Finding.at_most('nve_drift', 0.1, 1.0, 'meV/atom/ps', 'it drifts').to_dict()
WALL = Finding.at_most('wall_Cu-Au', 3.0, 0.01, 'eV', 'the wall has a hole').to_dict()


def summarize(train=ERRORS, gamma=1.0, checks=(DRIFT,), fit=None, settings=None):
    return summarize_training(
        orm.Dict(settings or {}),
        orm.Dict(fit or {'training_errors': ERRORS, 'engine': 'pod'}),
        orm.Dict({'checks': list(checks)}),
        orm.Dict({'errors': train, 'gamma_max': gamma}),
        orm.Dict({'errors': TEST_ERRORS, 'gamma_max': 7.0, 'groups': GROUPS, 'caution': 'a guess'}),
    ).get_dict()


def test_a_good_training():
    report = summarize()
    assert report['failed_checks'] == []
    assert report['fit'] == {'training_errors': ERRORS, 'engine': 'pod'}
    assert report['train_errors'] == ERRORS
    assert report['test_errors'] == TEST_ERRORS
    assert (report['gamma_train_max'], report['gamma_max']) == (1.0, 7.0)
    assert (report['test_groups'], report['test_caution']) == (GROUPS, 'a guess')


def test_every_check_stands_in_the_report():
    checks = [entry['check'] for entry in summarize()['checks']]
    assert checks == ['nve_drift', *ERRORS, 'grade_training']


@pytest.mark.parametrize('name', list(ERRORS))
def test_a_disagreement_with_lammps_is_a_failed_check(name):
    (check,) = summarize(train={**ERRORS, name: 0.5})['failed_checks']
    assert check.startswith(f'{name} is ')


def test_a_grade_above_one_on_the_training_atoms_is_a_failed_check():
    assert len(summarize(gamma=1.2)['failed_checks']) == 1


def test_a_potential_without_grade_has_nothing_to_fail():
    assert summarize(gamma=None)['failed_checks'] == []


def test_limits_come_from_the_settings():
    settings = {'checks': {'gamma_max': 1.5, 'error_agreement': 0.1}}
    report = summarize(train={**ERRORS, 'force_rmse': 0.105}, gamma=1.2, settings=settings)
    assert report['failed_checks'] == []


def test_self_checks_are_told_first():
    report = summarize(checks=(DRIFT, WALL), gamma=3.0)
    assert report['failed_checks'][0] == 'the wall has a hole'
    assert len(report['failed_checks']) == 2


def test_a_trainer_without_training_errors_is_judged_by_the_rest():
    assert summarize(fit={'engine': 'other'})['failed_checks'] == []


def test_evaluations_that_failed_leave_gaps():
    report = summarize_training(orm.Dict({}), orm.Dict({}), orm.Dict({'checks': [WALL]})).get_dict()
    assert (report['train_errors'], report['test_errors'], report['gamma_max']) == (None, None, None)
    assert report['failed_checks'] == ['the wall has a hole']
    assert (report['test_groups'], report['test_caution']) == (None, '')


class TestReferences:
    def test_isolated_atoms_are_told_apart(self, emt_frames, references):
        frames = Frames.concatenate([emt_frames(3), references])
        parts = separate_references(FramesData(frames))
        assert parts['references'].frames.uid.tolist() == references.uid.tolist()
        assert parts['rest'].frames.uid.tolist() == emt_frames(3).uid.tolist()
        np.testing.assert_array_equal(parts['references'].frames.energy, references.energy)

    def test_an_empty_part_is_left_out(self, emt_frames, references):
        assert set(separate_references(FramesData(emt_frames(2)))) == {'rest'}
        assert set(separate_references(FramesData(references))) == {'references'}
