"""`TrainWorkChain` with Pacemaker as trainer: the real CalcJob and parser on recorded runs, inside the real chain."""

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.workflows.one_shot import OneShotWorkChain
from aiida_mlip_autopipe.workflows.train import TrainWorkChain
from tests import pacemaker_data
from tests.pacemaker_code import real, stand_in
from tests.workflows.conftest import Children

PACEMAKER = 'mlip_autopipe.pacemaker'


@pytest.fixture
def inputs(localhost, worker_code):
    """Return a factory of the inputs of a training whose trainer replays a recorded run."""

    def make(case='fit_al', broken='', **pacemaker):
        return {
            'code': stand_in(localhost, case, broken),
            'evaluate_code': worker_code,
            'train_frames': FramesData(pacemaker_data.frames()),
            'test_frames': FramesData(pacemaker_data.frames('al_emt_test')),
            'references': FramesData(pacemaker_data.references('Al')),
            'elements': orm.List(['Al']),
            'seed': orm.Int(42),
            'settings': orm.Dict({**pacemaker_data.settings(**pacemaker), 'trainer': PACEMAKER}),
        }

    return make


@pytest.fixture
def children(fake_process):
    """Return a factory of children: the trainer is run for real, LAMMPS answers with the given errors."""

    def make(errors, gamma=1.0):
        def answer(process, values):
            if process is CalculationFactory(PACEMAKER):
                return run_get_node(process, **values)[1]
            outputs = {
                'report': orm.Dict({'errors': errors, 'gamma_max': gamma, 'checks': []}),
                'predictions': orm.ArrayData({'energy': np.zeros(2)}),
            }
            return fake_process(outputs=outputs)

        return answer

    return make


RECORDED = {'energy_rmse': 0.0005339529945622907, 'force_rmse': 0.009496829802907121, 'stress_rmse': None}


def test_a_recorded_fit_passes_through_the_chain(walk, children, inputs):
    found = walk(TrainWorkChain, children(RECORDED), **inputs())
    assert found.exit_code is None
    assert found.names[0] == 'PacemakerCalculation'
    assert {'potential', 'report', 'train_predictions', 'test_predictions'} <= set(found.outputs)
    assert found.outputs['potential'].record.engine == 'pace'
    assert found.outputs['report']['fit']['functions'] == {'Al': 60}
    assert found.outputs['report']['failed_checks'] == []


@pytest.fixture
def stages(fake_process, emt_frames, potential_folder):
    """Finished children of all stages."""
    return Children(fake_process, emt_frames, potential_folder)


def test_a_configuration_names_the_trainer_and_its_code(walk, children, inputs, config, stages, worker_code):
    """What the one-shot run hands to the training is what the recorded fit runs with: entry point, code, settings."""
    recorded = inputs()
    train = {'trainer': PACEMAKER, 'code': recorded['code'].full_label, **pacemaker_data.settings()}
    shot = walk(OneShotWorkChain, stages, config=config(train=train))
    ((_, handed),) = [(process, values) for process, values in shot.submitted if process is TrainWorkChain]
    assert (handed['code'].pk, handed['evaluate_code'].pk) == (recorded['code'].pk, worker_code.pk)
    same = {name: handed[name] for name in ('code', 'evaluate_code', 'settings', 'seed', 'options')}
    found = walk(TrainWorkChain, children(RECORDED), **{**recorded, **same})
    assert found.exit_code is None
    assert found.names[0] == 'PacemakerCalculation'
    assert found.outputs['potential'].record.energy_shift == {'Al': -1.5}


def test_the_trainer_gets_the_test_set_as_a_file_of_its_own(walk, children, inputs):
    found = walk(TrainWorkChain, children(RECORDED), **inputs())
    (_, fit), *_ = found.submitted
    assert len(fit['frames']) == 60
    assert len(fit['test_frames']) == 12
    assert found.outputs['report']['fit']['test_errors']['force_rmse'] > 0


def test_errors_of_lammps_that_are_not_those_of_pacemaker_fail_the_checks(walk, children, inputs):
    found = walk(TrainWorkChain, children({**RECORDED, 'force_rmse': 0.02}), **inputs())
    assert found.label == 'ERROR_CHECKS_FAILED'
    assert 'force_rmse is 0.00949683 in the trainer and 0.02 in LAMMPS' in found.exit_code.message
    assert 'potential' in found.outputs


@pytest.mark.parametrize(
    ('case', 'broken', 'said'),
    [
        ('failures/dup', '', 'The loss is not finite'),
        ('failures/notf', '', "No module named 'tensorflow'"),
        ('fit_al', 'selftest', 'self-test'),
        ('fit_al', 'asi', 'pace_activeset did not write the active set'),
    ],
)
def test_a_failed_fit_names_its_reason(walk, children, inputs, case, broken, said):
    found = walk(TrainWorkChain, children(RECORDED), **inputs(case, broken))
    assert found.label == 'ERROR_FIT_FAILED'
    assert said in found.exit_code.message
    assert found.names == ['PacemakerCalculation']


def test_what_pacemaker_would_not_tell_ends_the_chain_with_its_reason(walk, children, inputs):
    unusable = inputs()
    shifted = unusable['train_frames'].frames
    unusable['train_frames'] = FramesData(shifted.replace(energy=shifted.energy - 1e5))
    found = walk(TrainWorkChain, children(RECORDED), **unusable)
    assert found.label == 'ERROR_FIT_FAILED'
    assert 'Pacemaker would replace the reference energies' in found.exit_code.message


def test_the_next_round_starts_from_the_potential_of_the_last(walk, children, inputs):
    first = walk(TrainWorkChain, children(RECORDED), **inputs())
    second = walk(
        TrainWorkChain, children(RECORDED), **inputs('upfit_p', max_iter=20), initial_potential=first.outputs['potential']
    )
    (_, fit), *_ = second.submitted
    assert fit['initial_potential'].uuid == first.outputs['potential'].uuid
    assert 'potential' in second.outputs


def test_a_stress_weight_is_refused(walk, children, inputs):
    chosen = inputs()
    chosen['settings'] = orm.Dict({**chosen['settings'].get_dict(), 'stress_weight': 100})
    with pytest.raises(ValueError, match='Pacemaker has no stress loss'):
        walk(TrainWorkChain, children(RECORDED), **chosen)


@pytest.mark.pacemaker
def test_a_real_fit_inside_the_chain(walk, children, inputs, localhost):
    """The fit is real; LAMMPS with ML-PACE is asked in the tests of the MD."""
    small = inputs()
    small['code'] = real(localhost)
    small['train_frames'] = FramesData(pacemaker_data.frames(count=10))
    small['settings'] = orm.Dict({'cutoff': 6.0, 'trainer': PACEMAKER, 'pacemaker': pacemaker_data.SMALL})
    found = walk(TrainWorkChain, children(RECORDED), **small)
    assert found.label in {'', 'ERROR_CHECKS_FAILED'}, 'the errors of LAMMPS are those of another fit'
    assert found.outputs['potential'].record.engine == 'pace'


@pytest.mark.pacemaker
def test_the_whole_chain_for_real(inputs, localhost):
    """Pacemaker fits, and mlip-worker, with ML-PACE or with pyace, checks and evaluates what it made, grades included."""
    small = inputs()
    small['code'] = real(localhost)
    small['train_frames'] = FramesData(pacemaker_data.frames(count=10))
    checks = {'nve_time': 50, 'nve_structures': 1, 'wall_points': 5}
    values = {'cutoff': 6.0, 'trainer': PACEMAKER, 'pacemaker': pacemaker_data.SMALL, 'checks': checks}
    small['settings'] = orm.Dict(values)
    _, node = run_get_node(TrainWorkChain, **small)
    assert node.exit_status in {0, 510}, node.exit_message
    found = {check['check']: check for check in node.outputs.report['checks']}
    for name in ('loads', 'energy_agreement', 'force_agreement', 'stress_derivative'):
        assert found[name]['passed'], found[name]['message']
    assert 0.0 < node.outputs.report['gamma_train_max'] <= 1.02
    predicted = node.outputs.train_predictions.get_array('energy')
    assert np.abs(predicted - small['train_frames'].frames.energy).max() / 32 < 0.5, 'total energies, isolated atoms included'
