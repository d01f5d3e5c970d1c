import sys

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.science.checks.finding import Finding
from aiida_mlip_autopipe.workflows.train import TrainWorkChain, validate_inputs

ERRORS = {'energy_rmse': 0.01, 'force_rmse': 0.1, 'stress_rmse': 0.001}
TEST_BOUNDS = {'energy_rmse': 0.003, 'force_rmse': 0.05, 'stress_rmse': 0.002}
"""eV/atom, eV/Å and eV/Å³; measured 0.0012, 0.020 and 0.0009."""

OUTPUTS = {'potential', 'report', 'train_predictions', 'test_predictions', 'check_curves'}
RISE = Finding.at_most('wall_Cu-Au', 0.0, 0.01, 'eV', 'the energy of a pair Cu-Au rises')
HOLE = Finding.at_most('wall_Cu-Au', 3.0, 0.01, 'eV', 'the energy of a pair Cu-Au falls by 3 eV')


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
    """Return a factory of the children of a training; `fit`, `evaluate` and `check` are exit statuses."""

    def make(fit=0, evaluate=0, check=0, with_potential=True, lammps=ERRORS, gamma=1.0):
        def answer(process, _):
            if process.__name__ == 'CheckCalculation':
                outputs = {'curves': orm.ArrayData({'nve_time': np.zeros(2)})}
                if check in (0, 510):
                    outputs['report'] = orm.Dict({'checks': [(HOLE if check else RISE).to_dict()]})
                return fake_process(outputs=outputs, status=check, message='no checks' if check else None)
            if process.__name__ == 'EvaluateCalculation':
                report = orm.Dict({'errors': lammps, 'gamma_max': gamma})
                outputs = {'report': report, 'predictions': orm.ArrayData({'energy': np.zeros(2)})}
                return fake_process(outputs=outputs, status=evaluate, message='no LAMMPS' if evaluate else None)
            potential = {'potential': PotentialData.from_folder(potential_folder())} if with_potential else {}
            report = orm.Dict({'training_errors': ERRORS})
            return fake_process(outputs={**potential, 'report': report}, status=fit, message='no fit' if fit else None)

        return answer

    return make


def test_the_potential_is_checked_and_evaluated_on_both_sets(walk, children, inputs):
    found = walk(TrainWorkChain, children(), **inputs)
    assert found.exit_code is None
    assert found.names == ['PodCalculation', 'CheckCalculation', 'EvaluateCalculation', 'EvaluateCalculation']
    sets = [values['frames'].uuid for _, values in found.submitted[1:]]
    assert sets == [inputs['train_frames'].uuid, inputs['train_frames'].uuid, inputs['test_frames'].uuid]
    assert set(found.outputs) == OUTPUTS
    assert found.outputs['report']['failed_checks'] == []
    assert found.outputs['report']['test_errors'] == ERRORS


@pytest.mark.parametrize('trainer', ['pod', 'ace'])
def test_isolated_atoms_may_be_missing(walk, children, inputs, trainer):
    given = {name: node for name, node in inputs.items() if name != 'references'}
    settings = orm.Dict({'trainer': f'mlip_autopipe.{trainer}'})
    found = walk(TrainWorkChain, children(), **{**given, 'settings': settings})
    assert found.exit_code is None
    assert 'references' not in found.submitted[0][1]
    with_them = walk(TrainWorkChain, children(), **{**inputs, 'settings': settings})
    assert with_them.submitted[0][1]['references'].uuid == inputs['references'].uuid


def test_a_trainer_that_needs_isolated_atoms_says_so(inputs):
    given = {name: node for name, node in inputs.items() if name != 'references'}
    problem = validate_inputs({**given, 'settings': orm.Dict({'trainer': 'mlip_autopipe.pacemaker'})}, None)
    assert problem == (
        'references: the trainer mlip_autopipe.pacemaker needs an isolated atom of each element, the zero of its energies; '
        'mlip_autopipe.ace and mlip_autopipe.pod fit an energy of each element without them'
    )


def test_the_checks_get_their_section_of_the_settings(walk, children, inputs):
    settings = orm.Dict({'checks': {'nve_temperature': 50.0, 'compared_frames': 4}})
    (_, check), *_ = walk(TrainWorkChain, children(), **{**inputs, 'settings': settings}).submitted[1:]
    found = check['settings'].get_dict()
    assert (found['nve_temperature'], found['compared_frames'], found['gamma_max']) == (50.0, 4, 1.01)
    assert check['seed'] == inputs['seed']


def test_only_the_test_set_is_asked_for_the_spread(walk, children, inputs):
    _, _, (_, train), (_, test) = walk(TrainWorkChain, children(), **inputs).submitted
    assert train['settings'].get_dict() == {'spread': False}
    assert 'settings' not in test


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
    assert set(found.outputs) == OUTPUTS


def test_a_failed_self_check_keeps_everything(walk, children, inputs):
    found = walk(TrainWorkChain, children(check=510), **inputs)
    assert (found.label, found.exit_code.status) == ('ERROR_CHECKS_FAILED', 510)
    assert found.exit_code.message == 'The potential did not pass its checks: the energy of a pair Cu-Au falls by 3 eV'
    assert set(found.outputs) == OUTPUTS
    assert found.outputs['report']['checks'][0] == HOLE.to_dict()


def test_checks_that_could_not_be_made(walk, children, inputs):
    found = walk(TrainWorkChain, children(check=310), **inputs)
    assert found.label == 'ERROR_CHECKS_NOT_MADE'
    assert found.exit_code.message == 'The checks of the potential could not be made: no checks'
    assert {'potential', 'train_predictions', 'test_predictions'} == set(found.outputs)


def test_a_failed_check_is_the_reason_even_where_the_evaluation_failed_too(walk, children, inputs):
    """LAMMPS that cannot load the potential fails at both."""
    found = walk(TrainWorkChain, children(check=510, evaluate=410), **inputs)
    assert found.label == 'ERROR_CHECKS_FAILED'
    assert found.outputs['report']['train_errors'] is None


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


def test_an_element_without_training_atoms_is_refused(inputs, emt_frames):
    copper = emt_frames(6).take([0, 5])
    problem = validate_inputs({**inputs, 'train_frames': FramesData(copper)}, None)
    assert problem == "train_frames holds no atom of ['Au'], nothing about them can be learnt; elements are ['Cu', 'Au']"


def test_an_element_without_isolated_atom_is_refused(inputs, references):
    problem = validate_inputs({**inputs, 'references': FramesData(references.take([0]))}, None)
    assert problem == "references holds no isolated atom of ['Au'], the zero of their energy; elements are ['Cu', 'Au']"


def test_a_test_set_may_lack_an_element(inputs, emt_frames):
    assert validate_inputs({**inputs, 'test_frames': FramesData(emt_frames(6).take([0]))}, None) is None


@pytest.mark.parametrize('elements', [('Cu', 'Ag'), ('Au', 'Cu'), ('Cu',)])
def test_an_initial_potential_of_other_elements_is_refused(inputs, potential_folder, elements):
    initial = PotentialData.from_folder(potential_folder(elements=elements))
    problem = validate_inputs({**inputs, 'initial_potential': initial}, None)
    assert problem == f"initial_potential is of {list(elements)}, expected ['Cu', 'Au'] in this order"


def test_a_trainer_that_starts_from_scratch_refuses_an_initial_potential(inputs, fake_potential):
    problem = validate_inputs({**inputs, 'initial_potential': fake_potential}, None)
    assert problem == 'initial_potential: the trainer mlip_autopipe.pod fits from scratch and would ignore it; leave it out'


@pytest.mark.lammps
def test_a_real_training_passes_all_its_checks(inputs, emt_frames, capsys):
    checks = {'compared_frames': 4, 'stress_frames': 1, 'nve_structures': 2, 'nve_time': 100}
    settings = orm.Dict({'cutoff': 4.5, 'basis': 'S', 'ridge': 1e-8, 'checks': checks})
    outputs, node = run_get_node(TrainWorkChain, **{**inputs, 'train_frames': FramesData(emt_frames(30)), 'settings': settings})
    assert node.is_finished_ok, node.exit_message
    report = outputs['report'].get_dict()
    names = {entry['check'] for entry in report['checks']}
    assert {'loads', 'energy_agreement', 'force_agreement', 'stress_derivative', 'nve_drift', 'grade_training'} <= names
    assert {'wall_Cu-Cu', 'wall_Cu-Au', 'wall_Au-Au'} <= names
    assert all(entry['passed'] for entry in report['checks'])
    assert 'force_spread' in outputs['test_predictions'].get_arraynames()
    assert 'force_spread' not in outputs['train_predictions'].get_arraynames()
    errors = report['test_errors']
    energy, force, stress = (1e3 * errors[name] for name in ('energy_rmse', 'force_rmse', 'stress_rmse'))
    with capsys.disabled():
        sys.stdout.write(f'\nCu-Au, frozen test set: {energy:.1f} meV/atom, {force:.1f} meV/Å, {stress:.1f} meV/Å³\n')
    assert all(0 < errors[name] < bound for name, bound in TEST_BOUNDS.items())
