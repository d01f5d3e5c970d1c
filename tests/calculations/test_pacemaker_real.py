"""`PacemakerCalculation` with the real programs: a few fits of three iterations, each looked at from many sides."""

import subprocess

import numpy as np
import pytest
import yaml
from aiida import orm
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.calculations.pacemaker import STATUS_OF
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.ace.core import CORE_OUTER, shortest_distances
from aiida_mlip_autopipe.engines.ace.pacemaker_log import Failure, judge, read_log
from tests import pacemaker_data, pacemaker_failures
from tests.engines.ace.test_pacemaker_log import EXPECTED
from tests.pacemaker_code import installed, linear_potential, real, real_pacemaker

pytestmark = pytest.mark.pacemaker

PACEMAKER = 'mlip_autopipe.pacemaker'
N_FRAMES = 10
ALMG = ['Mg', 'Al']
"""Not sorted by name, as Pacemaker sorts them."""

CASES = ('badeval', 'badf', 'badindent', 'badopt', 'dft', 'dup', 'empty', 'garbage', 'missingfile', 'nane', 'nanf', 'noatoms')
CASES += ('nodata', 'noenergy', 'noforces', 'nopot', 'pbc', 'unknownfn')
"""Recorded inputs that are run again: those that fail before the fit, and two that Pacemaker returns 0 for."""


def run(**inputs):
    return run_get_node(CalculationFactory(PACEMAKER), **inputs)


def small(**pacemaker):
    return orm.Dict({'cutoff': 6.0, **pacemaker_data.SMALL, **pacemaker})


@pytest.fixture(scope='module')
def inputs(aiida_profile):
    return {
        'frames': FramesData(pacemaker_data.frames(count=N_FRAMES)),
        'references': FramesData(pacemaker_data.references('Al')),
        'elements': orm.List(['Al']),
        'seed': orm.Int(42),
        'settings': small(),
    }


@pytest.fixture(scope='module')
def fit(localhost, inputs):
    """A finished fit from scratch by the program as it is, its tools given as codes of their own."""
    beside = real_pacemaker().parent
    tools = {f'{port}_code': installed(localhost, beside / f'pace_{port}', '') for port in ('yaml2yace', 'activeset')}
    test = FramesData(pacemaker_data.frames('al_emt_test', 4))
    outputs, node = run(**inputs, **tools, code=real(localhost, eager=False), test_frames=test)
    assert node.is_finished_ok, node.exit_message
    return outputs, node


def input_of(node):
    return yaml.safe_load(node.base.repository.get_object_content('input.yaml'))


class TestFit:
    def test_report(self, fit, inputs):
        report = fit[0]['report']
        assert (report['n_iterations'], report['n_fitted'], report['functions']) == (3, N_FRAMES, {'Al': 10})
        assert 0 < report['gamma_train_max'] <= 1.01
        assert report['training_errors']['force_rmse'] > 0
        assert report['test_errors']['force_rmse'] > 0
        assert report['warnings'] == []

    def test_learning_curve(self, fit):
        loss = fit[0]['learning_curve'].get_array('loss')
        assert loss[-1] < loss[0]

    def test_potential(self, fit, inputs):
        potential = fit[0]['potential']
        assert potential.is_stored
        assert potential.record.training_uuid == inputs['frames'].uuid
        assert potential.record.energy_shift == {'Al': -1.5}
        assert {'input.yaml', 'trainer_predictions.npz'} <= set(potential.base.repository.list_object_names())

    def test_what_is_kept_of_the_job(self, fit):
        names = fit[1].base.repository.list_object_names()
        assert 'input.yaml' in names
        assert not {'df.pckl.gzip', 'df_test.pckl.gzip', 'select_active_set.py'} & set(names)

    def test_the_core_begins_below_the_shortest_distance(self, fit, inputs):
        shortest = shortest_distances(inputs['frames'].frames, ['Al'], 6.0)['Al', 'Al']
        written = yaml.safe_load(fit[0]['potential'].base.repository.get_object_content('output_potential.yaml'))
        (block,) = written['species']
        assert block['r_in'] == pytest.approx(CORE_OUTER * shortest)
        assert (block['inner_cutoff_type'], block['core-repulsion']) == ('zbl', [1, 1])

    def test_its_own_predictions_have_its_own_errors(self, fit, inputs, tmp_path):
        fit[0]['potential'].write(tmp_path)
        own = TrainerPredictions.load(tmp_path)
        frames = inputs['frames'].frames
        assert own.frames.tolist() == list(range(N_FRAMES))
        error = np.sqrt(np.mean((own.forces - frames.forces) ** 2))
        assert error == pytest.approx(fit[0]['report']['training_errors']['force_rmse'], rel=1e-3)


class TestGoingOn:
    def test_with_the_same_basis_it_starts_at_the_old_loss(self, fit, inputs, localhost):
        outputs, node = run(**inputs, code=real(localhost, eager=False), initial_potential=fit[0]['potential'])
        assert node.is_finished_ok, node.exit_message
        losses = outputs['learning_curve'].get_array('loss')
        assert losses[0] == pytest.approx(fit[0]['report']['loss'], rel=0.05)

    def test_a_basis_grows_by_a_ladder(self, fit, inputs, localhost):
        larger = {'ALL': {'nradmax_by_orders': [8, 3], 'lmax_by_orders': [0, 1]}}
        grown = {'settings': small(b_basis_size=16, functions=larger, ladder_step=3, max_iter=2)}
        outputs, node = run(**{**inputs, **grown}, code=real(localhost), initial_potential=fit[0]['potential'])
        assert node.is_finished_ok, node.exit_message
        curve = outputs['learning_curve']
        sizes = dict.fromkeys(curve.get_array('nfuncs').tolist())
        assert list(sizes) == [13, 16]
        assert curve.get_array('loss')[0] == pytest.approx(fit[0]['report']['loss'], rel=0.05)
        assert outputs['report']['functions'] == {'Al': 16}


def test_energy_based_weights_and_a_ladder_from_nothing(inputs, localhost):
    """Pacemaker's predictions hold a `collections.Counter` then; without it they could not be read."""
    settings = {'settings': small(weighting='energy', ladder_step=6, max_iter=2)}
    outputs, node = run(**{**inputs, **settings}, code=real(localhost, eager=False))
    assert node.is_finished_ok, node.exit_message
    assert outputs['learning_curve'].get_array('ladder_step').max() == 1
    assert 'trainer_predictions.npz' in outputs['potential'].base.repository.list_object_names()


@pytest.fixture(scope='module')
def almg():
    return {
        'references': FramesData(pacemaker_data.references(*ALMG, energies=pacemaker_data.ALONE_ALMG)),
        'elements': orm.List(ALMG),
        'seed': orm.Int(42),
    }


@pytest.fixture(scope='module')
def linear(tmp_path_factory, aiida_profile):
    return linear_potential(tmp_path_factory.mktemp('linear'), ALMG)


def from_linear(**pacemaker):
    return orm.Dict({'cutoff': 5.0, 'batch_size': 10, 'max_iter': 2, **pacemaker})


@pytest.fixture(scope='module')
def refined(localhost, almg, linear):
    """A finished fit of few frames that began with the linear potential."""
    frames = FramesData(pacemaker_data.almg(6))
    outputs, node = run(**almg, code=real(localhost), frames=frames, settings=from_linear(), initial_potential=linear)
    assert node.is_finished_ok, node.exit_message
    return outputs, node


class TestLinearStart:
    def test_it_begins_with_the_errors_of_the_linear_potential(self, refined):
        curve = refined[0]['learning_curve']
        assert curve.get_array('rmse_f_comp')[0] == pytest.approx(linear_force_error(6), rel=1e-4)
        assert curve.get_array('loss')[-1] < curve.get_array('loss')[0]
        assert curve.get_array('reg_loss').max() == 0

    def test_the_basis_is_that_of_the_linear_fit_with_two_densities(self, refined):
        assert refined[0]['report']['functions'] == {'Al': 40, 'Mg': 40}
        assert refined[0]['report']['n_coefficients'] > 160
        assert refined[0]['potential'].elements == ALMG
        assert input_of(refined[1])['potential'] == {'filename': 'initial_potential.yaml'}

    def test_an_element_with_fewer_atoms_than_functions_gets_its_active_set_and_a_word(self, refined):
        numbers = pacemaker_data.almg(6).numbers
        assert max((numbers == 12).sum(), (numbers == 13).sum()) < 40
        first, second = refined[0]['report']['warnings']
        assert first.startswith('Al has ')
        assert 'training atoms for 40 functions: some places of its active set hold no atom' in second
        assert refined[0]['report']['gamma_train_max'] <= 1.01

    def test_the_next_round_goes_on_with_more_frames_and_a_new_core(self, refined, almg, localhost):
        frames = FramesData(pacemaker_data.almg())
        settings = from_linear(kappa_f={'rattle': 3.0})
        again = {'frames': frames, 'settings': settings, 'initial_potential': refined[0]['potential']}
        outputs, node = run(**almg, **again, code=real(localhost))
        assert node.is_finished_ok, node.exit_message
        assert outputs['learning_curve'].get_array('rmse_f_comp')[0] < 2 * linear_force_error(8)
        shortest = shortest_distances(frames.frames, ALMG, 5.0)
        written = yaml.safe_load(outputs['potential'].base.repository.get_object_content('output_potential.yaml'))
        cores = {block['speciesblock']: block['r_in'] for block in written['species'] if len(block['speciesblock'].split()) <= 2}
        assert cores['Al'] == pytest.approx(CORE_OUTER * shortest['Al', 'Al'])
        assert cores['Al Mg'] == cores['Mg Al'] == pytest.approx(CORE_OUTER * shortest['Al', 'Mg'])


def linear_force_error(count):
    """Return the error of the linear potential on the forces, eV/Å, as pyace computes it."""
    pyace = pytest.importorskip('pyace')
    calculator = pyace.PyACECalculator(str(pacemaker_data.LINEAR))
    frames = pacemaker_data.almg(count)
    found = []
    for atoms in frames:
        bare = atoms.copy()
        bare.calc = calculator
        found.append(bare.get_forces())
    return float(np.sqrt(np.mean((np.concatenate(found) - frames.forces) ** 2)))


class TestFailures:
    def test_a_broken_tensorflow_is_named_before_the_fit(self, inputs, localhost, tmp_path):
        (tmp_path / 'tensorflow.py').write_text('raise ImportError("libfoo.so: undefined symbol")\n', encoding='utf-8')
        _, node = run(**inputs, code=real(localhost, f'export PYTHONPATH={tmp_path}'))
        assert node.exit_status == 401
        assert (
            'self-test: TensorFlow cannot be loaded (tensorflow: ImportError: libfoo.so: undefined symbol)' in node.exit_message
        )
        assert 'pacemaker.err' not in node.outputs.retrieved.base.repository.list_object_names()

    def test_a_job_that_is_killed_in_the_middle_of_the_fit(self, inputs, localhost):
        kill = '( until [ -s interim_potential_0.yaml ]; do sleep 0.1; done; kill -9 $$ $(pgrep -P $$ -f input.yaml) ) &'
        outputs, node = run(**{**inputs, 'settings': small(max_iter=1000)}, code=real(localhost, kill))
        assert node.exit_status == 340
        assert 'the walltime or a signal ended it' in node.exit_message
        assert 'learning_curve' in outputs
        assert 'interim_potential_0.yaml' in node.outputs.retrieved.base.repository.list_object_names()

    @pytest.fixture(scope='class')
    def rerun(self, tmp_path_factory):
        """Folder with what the real program left of each case."""
        out = tmp_path_factory.mktemp('failures')
        python, script = real_pacemaker().with_name('python'), pacemaker_failures.__file__
        recorded, source = pacemaker_data.FIXTURES / 'failures', pacemaker_data.FIXTURES / 'data' / 'al_emt.pckl.gzip'
        subprocess.run([python, script, recorded, source, out, *CASES], check=True, env={'OMP_NUM_THREADS': '1'}, timeout=300)
        return out

    @pytest.mark.parametrize('case', CASES)
    def test_every_failure_is_told_by_its_name(self, rerun, case):
        log, code = (rerun / case / 'err').read_text(), int((rerun / case / 'rc').read_text())
        found = judge(read_log(log), code, log, has_potential=(rerun / case / 'output_potential.yaml').exists())
        assert found is not None
        failure, said = EXPECTED[case]
        assert found[0] is failure
        assert case in NEW_WORDS or said in found[1]
        assert STATUS_OF[failure] >= 330

    def test_two_of_them_look_like_successes(self, rerun):
        assert {case for case in CASES if (rerun / case / 'rc').read_text() == '0'} == {'dft', 'dup'}
        assert Failure.REFERENCE_REPLACED is EXPECTED['dft'][0]


NEW_WORDS = {'badeval'}
"""Cases that a newer Pacemaker words in another way."""
