"""`TrainWorkChain` with Pacemaker as trainer: its start, its results, and the whole chain with the real programs."""

import time

import numpy as np
import pytest
from aiida import orm
from aiida.engine import submit
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.workflows.one_shot import OneShotWorkChain
from aiida_mlip_autopipe.workflows.train import TrainWorkChain
from tests import pacemaker_data
from tests.pacemaker_code import installed, linear_potential, real
from tests.workflows.conftest import Children

ACE = 'mlip_autopipe.ace'
PACEMAKER = 'mlip_autopipe.pacemaker'
ELEMENTS = ['Al', 'Mg']
ERRORS = {'energy_rmse': 0.002, 'force_rmse': 0.08, 'stress_rmse': None}
TIMEOUT = 400
"""s; a fit that begins with a linear one takes a quarter of it on a quiet machine."""


@pytest.fixture
def inputs(localhost, worker_code):
    """Return a factory of the inputs of a training; a keyword exchanges a key of `pacemaker`."""

    def make(**pacemaker):
        frames = pacemaker_data.almg()
        return {
            'code': installed(localhost, '/bin/true', ''),
            'evaluate_code': worker_code,
            'train_frames': FramesData(frames.take(range(6))),
            'test_frames': FramesData(frames.take([6, 7])),
            'references': FramesData(pacemaker_data.references(*ELEMENTS, energies=pacemaker_data.ALONE_ALMG)),
            'elements': orm.List(ELEMENTS),
            'seed': orm.Int(42),
            'settings': orm.Dict({'trainer': PACEMAKER, 'cutoff': 5.0, **pacemaker}),
        }

    return make


@pytest.fixture
def potential(tmp_path):
    return linear_potential(tmp_path, ELEMENTS)


@pytest.fixture
def children(fake_process, potential):
    """Return a factory of finished children; `fail` names the entry point of one that fails."""

    def make(errors=ERRORS, fail=''):
        def answer(process, _):
            for name in (ACE, PACEMAKER):
                if process is CalculationFactory(name):
                    if name == fail:
                        return fake_process(status=401, message='python-ace cannot be loaded')
                    report = orm.Dict({'training_errors': ERRORS, 'functions': {'Al': 40, 'Mg': 40}})
                    return fake_process(outputs={'potential': potential.clone(), 'report': report})
            outputs = {
                'report': orm.Dict({'errors': errors, 'gamma_max': 1.0, 'checks': []}),
                'predictions': orm.ArrayData({'energy': np.zeros(2)}),
            }
            return fake_process(outputs=outputs)

        return answer

    return make


class TestStart:
    def test_a_linear_fit_comes_first(self, walk, children, inputs):
        given = inputs()
        found = walk(TrainWorkChain, children(), **given)
        assert found.exit_code is None
        assert found.names[:2] == ['AceCalculation', 'PacemakerCalculation']
        (_, start), (_, fit), *_ = found.submitted
        assert start['code'].pk == given['evaluate_code'].pk
        for name in ('references', 'elements', 'settings', 'seed', 'frames'):
            assert start[name].uuid == fit[name].uuid
        assert fit['initial_potential'].uuid == found.process.ctx.start.outputs.potential.uuid
        assert found.outputs['potential'].uuid == found.process.ctx.fit.outputs.potential.uuid

    def test_a_potential_that_is_given_takes_its_place(self, walk, children, inputs, potential):
        found = walk(TrainWorkChain, children(), **inputs(), initial_potential=potential)
        assert found.names[0] == 'PacemakerCalculation'
        assert found.submitted[0][1]['initial_potential'].uuid == potential.uuid

    def test_from_scratch(self, walk, children, inputs):
        found = walk(TrainWorkChain, children(), **inputs(initial_potential='none'))
        assert found.names[0] == 'PacemakerCalculation'
        assert 'initial_potential' not in found.submitted[0][1]

    def test_other_trainers_have_no_such_start(self, walk, children, inputs):
        given = inputs()
        given['settings'] = orm.Dict({'trainer': ACE, 'cutoff': 5.0})
        found = walk(TrainWorkChain, children(), **given)
        assert found.names[:2] == ['AceCalculation', 'CheckCalculation']

    def test_a_start_that_fails_ends_the_chain_with_its_reason(self, walk, children, inputs):
        found = walk(TrainWorkChain, children(fail=ACE), **inputs())
        assert found.label == 'ERROR_START_FAILED'
        assert found.exit_code.message.endswith('starts from failed: python-ace cannot be loaded')
        assert found.names == ['AceCalculation']

    def test_a_start_of_other_elements_is_refused(self, walk, children, inputs, tmp_path_factory):
        other = linear_potential(tmp_path_factory.mktemp('other'), ELEMENTS[::-1])
        with pytest.raises(ValueError, match=r"initial_potential is of \['Mg', 'Al'\], expected \['Al', 'Mg'\] in this order"):
            walk(TrainWorkChain, children(), **inputs(), initial_potential=other)


def test_a_fit_passes_through_the_chain(walk, children, inputs):
    found = walk(TrainWorkChain, children(), **inputs())
    assert {'potential', 'report', 'train_predictions', 'test_predictions'} <= set(found.outputs)
    assert found.outputs['report']['fit']['functions'] == {'Al': 40, 'Mg': 40}
    assert found.outputs['report']['failed_checks'] == []


def test_the_trainer_gets_the_test_set_as_a_file_of_its_own(walk, children, inputs):
    given = inputs()
    (_, start), (_, fit), *_ = walk(TrainWorkChain, children(), **given).submitted
    assert fit['test_frames'].uuid == given['test_frames'].uuid
    assert 'test_frames' not in start


def test_errors_of_lammps_that_are_not_those_of_pacemaker_fail_the_checks(walk, children, inputs):
    found = walk(TrainWorkChain, children({**ERRORS, 'force_rmse': 0.2}), **inputs())
    assert found.label == 'ERROR_CHECKS_FAILED'
    assert 'force_rmse is 0.08 in the trainer and 0.2 in LAMMPS' in found.exit_code.message
    assert 'potential' in found.outputs


def test_a_failed_fit_names_its_reason(walk, children, inputs):
    found = walk(TrainWorkChain, children(fail=PACEMAKER), **inputs())
    assert found.label == 'ERROR_FIT_FAILED'
    assert 'python-ace cannot be loaded' in found.exit_code.message
    assert found.names == ['AceCalculation', 'PacemakerCalculation']


def test_a_stress_weight_of_a_fit_from_scratch_is_refused(walk, children, inputs):
    chosen = inputs(initial_potential='none')
    chosen['settings'] = orm.Dict({**chosen['settings'].get_dict(), 'stress_weight': 100})
    with pytest.raises(ValueError, match='stress_weight: Pacemaker has none; that of the linear fit'):
        walk(TrainWorkChain, children(), **chosen)


@pytest.fixture
def handed(walk, config, fake_process, emt_frames, potential_folder):
    """Return a function that gives what a one-shot run hands to the training."""

    def run(**train):
        shot = walk(OneShotWorkChain, Children(fake_process, emt_frames, potential_folder), config=config(train=train))
        ((_, values),) = [(process, values) for process, values in shot.submitted if process is TrainWorkChain]
        return values

    return run


def test_a_configuration_names_the_trainer_and_its_code(walk, children, inputs, handed, localhost):
    """What the one-shot run hands to the training is what the training runs with: entry point, code, settings."""
    code = installed(localhost, '/bin/true', '')
    values = handed(trainer=PACEMAKER, code=code.full_label, cutoff=5.0, max_iter=7)
    assert values['code'].pk == code.pk
    same = {name: values[name] for name in ('code', 'evaluate_code', 'settings', 'seed', 'options')}
    found = walk(TrainWorkChain, children(), **{**inputs(), **same})
    assert found.exit_code is None
    assert found.names[:2] == ['AceCalculation', 'PacemakerCalculation']
    assert found.submitted[1][1]['code'].pk == code.pk


@pytest.mark.pacemaker
@pytest.mark.daemon
def test_the_whole_chain_through_the_daemon(started_daemon_client, inputs, localhost):
    """The daemon exports its own `sys.path`: the Python of Pacemaker must not see it."""
    given = inputs(max_iter=3, batch_size=10)
    checks = {'nve_time': 50, 'nve_structures': 1, 'wall_points': 5}
    settings = {**given['settings'].get_dict(), 'linear': {'functions': 12}, 'checks': checks}
    node = submit(TrainWorkChain, **{**given, 'code': real(localhost), 'settings': orm.Dict(settings)})
    limit = time.monotonic() + TIMEOUT
    while not node.is_terminated:
        assert time.monotonic() < limit, 'timed out'
        time.sleep(0.5)
    assert node.exit_status in {0, 510}, node.exit_message
    assert [child.process_label for child in node.called][:2] == ['AceCalculation', 'PacemakerCalculation']
    start, fit = node.called[:2]
    first = fit.outputs.learning_curve.get_array('rmse_f_comp')[0]
    assert first == pytest.approx(start.outputs.report['training_errors']['force_rmse'], rel=0.01), (
        'it begins where the start ends'
    )
    found = {check['check']: check for check in node.outputs.report['checks']}
    for name in ('loads', 'energy_agreement', 'force_agreement', 'stress_derivative'):
        assert found[name]['passed'], found[name]['message']
    assert 0.0 < node.outputs.report['gamma_train_max'] <= 1.02
