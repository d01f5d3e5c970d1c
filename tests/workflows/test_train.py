import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.train import TrainWorkChain, validate_inputs

ERRORS = {'energy_rmse': 0.01, 'force_rmse': 0.1, 'stress_rmse': 0.001}


@pytest.fixture
def inputs(emt_frames, references, worker_code):
    return {
        'code': worker_code,
        'evaluate_code': worker_code,
        'train_frames': FramesData(emt_frames(6)),
        'test_frames': FramesData(emt_frames(3, seed=5)),
        'references': FramesData(references),
        'elements': orm.List(['Cu', 'Au']),
        'seed': orm.Int(3),
        'settings': orm.Dict({'cutoff': 4.5}),
    }


@pytest.fixture
def children(fake_process, potential_folder):
    """Return a factory of the children of a training; `fit` and `evaluate` are exit statuses."""

    def make(fit=0, evaluate=0, with_potential=True, lammps=ERRORS, gamma=1.0):
        def answer(process, _):
            if process.__name__ == 'PodCalculation':
                potential = {'potential': PotentialData.from_folder(potential_folder())} if with_potential else {}
                report = orm.Dict({'training_errors': ERRORS})
                return fake_process(outputs={**potential, 'report': report}, status=fit, message='no fit' if fit else None)
            report = orm.Dict({'errors': lammps, 'gamma_max': gamma})
            outputs = {'report': report, 'predictions': orm.ArrayData({'energy': np.zeros(2)})}
            return fake_process(outputs=outputs, status=evaluate, message='no LAMMPS' if evaluate else None)

        return answer

    return make


def test_the_potential_is_evaluated_on_both_sets(walk, children, inputs):
    found = walk(TrainWorkChain, children(), **inputs)
    assert found.exit_code is None
    assert found.names == ['PodCalculation', 'EvaluateCalculation', 'EvaluateCalculation']
    sets = [values['frames'].uuid for _, values in found.submitted[1:]]
    assert sets == [inputs['train_frames'].uuid, inputs['test_frames'].uuid]
    assert set(found.outputs) == {'potential', 'report', 'train_predictions', 'test_predictions'}
    assert found.outputs['report']['failed_checks'] == []
    assert found.outputs['report']['test_errors'] == ERRORS


def test_the_trainer_sees_no_test_frames(walk, children, inputs):
    (_, fit), *_ = walk(TrainWorkChain, children(), **inputs).submitted
    assert fit['frames'].uuid == inputs['train_frames'].uuid
    assert inputs['test_frames'].uuid not in {getattr(value, 'uuid', None) for value in fit.values()}


def test_jobs_get_the_options(walk, children, inputs):
    options = {'num_machines': 1, 'mpi_processes': 1, 'walltime': 55, 'queue': None, 'account': None}
    found = walk(TrainWorkChain, children(), **inputs, options=orm.Dict(options))
    assert {values['metadata']['options']['max_wallclock_seconds'] for _, values in found.submitted} == {55}


def test_a_failed_fit(walk, children, inputs):
    found = walk(TrainWorkChain, children(fit=410, with_potential=False), **inputs)
    assert found.label == 'ERROR_FIT_FAILED'
    assert found.exit_code.message == 'The trainer failed: no fit'
    assert found.outputs == {}
    assert found.names == ['PodCalculation']


def test_a_failed_fit_keeps_the_potential_that_it_wrote(walk, children, inputs):
    found = walk(TrainWorkChain, children(fit=420), **inputs)
    assert found.label == 'ERROR_FIT_FAILED'
    assert set(found.outputs) == {'potential'}


def test_a_failed_evaluation_keeps_the_potential(walk, children, inputs):
    found = walk(TrainWorkChain, children(evaluate=410), **inputs)
    assert found.label == 'ERROR_EVALUATION_FAILED'
    assert found.exit_code.message == 'The potential could not be evaluated: no LAMMPS'
    assert 'potential' in found.outputs


def test_failed_checks_keep_everything(walk, children, inputs):
    found = walk(TrainWorkChain, children(lammps={**ERRORS, 'stress_rmse': 0.5}, gamma=1.5), **inputs)
    assert found.label == 'ERROR_CHECKS_FAILED'
    assert found.exit_code.status == 510
    assert 'stress_rmse is 0.001 in the trainer and 0.5 in LAMMPS; the grade on the training atoms' in found.exit_code.message
    assert set(found.outputs) == {'potential', 'report', 'train_predictions', 'test_predictions'}


def test_frames_without_labels_are_refused(walk, children, inputs, emt_frames):
    mixed = FramesData(Frames.concatenate([emt_frames(2), emt_frames(3, labelled=False, seed=8)]))
    with pytest.raises(ValueError, match='test_frames: 3 of 5 frames are not labelled'):
        walk(TrainWorkChain, children(), **{**inputs, 'test_frames': mixed})


@pytest.mark.parametrize('port', ['train_frames', 'test_frames', 'references'])
def test_labels_of_two_levels_of_theory_are_refused(inputs, port):
    other = FramesData(inputs[port].frames.replace(fingerprint='pbe'))
    problem = validate_inputs({**inputs, port: other}, None)
    assert problem.startswith('labels of different levels of theory are never mixed in one fit; fingerprints found: ')
    assert "'pbe'" in problem


def test_an_element_that_is_not_listed_is_refused(inputs):
    problem = validate_inputs({**inputs, 'elements': orm.List(['Cu'])}, None)
    assert problem == "train_frames holds ['Au'], which elements ['Cu'] does not list"


def test_good_inputs_pass(inputs):
    assert validate_inputs(inputs, None) is None


def test_settings_with_a_mistake_are_refused(walk, children, inputs):
    with pytest.raises(ValueError, match='basis: got'):
        walk(TrainWorkChain, children(), **{**inputs, 'settings': orm.Dict({'basis': 'XL'})})
