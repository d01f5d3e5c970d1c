"""`PacemakerCalculation`: what it refuses, what it writes, and whole jobs on recorded runs."""

import contextlib
import gzip
import io
import pickle
import time

import pytest
import yaml
from aiida import orm
from aiida.common.folders import SandboxFolder
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.calculations.pacemaker import STATUS_OF, validate_inputs, validate_settings
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from aiida_mlip_autopipe.formats.pacemaker import record_of
from aiida_mlip_autopipe.formats.pacemaker_log import Failure
from tests import pacemaker_data
from tests.pacemaker_code import real, stand_in

PACEMAKER = 'mlip_autopipe.pacemaker'
SECONDS = 60
"""A job that fails its self-test is over long before a fit could begin, also on a busy machine."""


def run(**inputs):
    outputs, node = run_get_node(CalculationFactory(PACEMAKER), **inputs)
    return outputs, node


@pytest.fixture
def inputs(aiida_profile):
    return {
        'frames': FramesData(pacemaker_data.frames()),
        'references': FramesData(pacemaker_data.references('Al')),
        'elements': orm.List(['Al']),
        'seed': orm.Int(42),
        'settings': orm.Dict(pacemaker_data.settings()),
    }


@pytest.fixture
def code(localhost):
    """Return a factory of codes that replay a recorded run."""
    return lambda case='fit_al', broken='': stand_in(localhost, case, broken)


@pytest.fixture
def old_potential(tmp_path):
    """Return a factory of potentials of an earlier fit."""

    def make(case='fit_al', elements=('Al',), **changes):
        contents = {**pacemaker_data.files(), 'input.yaml': pacemaker_data.text(case, 'input.yaml').encode(), **changes}
        contents = {name: content for name, content in contents.items() if content is not None}
        references = dict.fromkeys(elements, -1.0)
        folder = tmp_path / 'old'
        folder.mkdir()
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        record = record_of(elements, 6.0, references, 'emt', contents)
        (folder / POTENTIAL_RECORD).write_text(record.to_json(), encoding='utf-8')
        return PotentialData.from_folder(folder)

    return make


@pytest.fixture
def written(prepared, code):
    """Return a function that gives `CalcInfo`, folder and `input.yaml` of a job."""

    def prepare(**inputs):
        info, folder = prepared(**inputs, code=code())
        with folder.open('input.yaml') as handle:
            return info, folder, yaml.safe_load(handle)

    return prepare


@pytest.fixture
def prepared(localhost):
    """Return a function that gives the `CalcInfo` of a job and the folder that it would upload."""
    with contextlib.ExitStack() as stack:

        def generate(**inputs):
            folder = stack.enter_context(SandboxFolder())
            process = instantiate_process(get_manager().get_runner(), CalculationFactory(PACEMAKER), **inputs)
            return process.prepare_for_submission(folder), folder

        yield generate


def table(folder, name='df.pckl.gzip'):
    with folder.open(name, 'rb') as handle:
        return pickle.load(io.BytesIO(gzip.decompress(handle.read())))


def test_the_ports_are_those_of_every_trainer():
    spec = CalculationFactory(PACEMAKER).spec()
    pod = CalculationFactory('mlip_autopipe.pod').spec()
    required = {name for name, port in spec.inputs.items() if port.required and name != 'metadata'}
    assert required <= set(pod.inputs)
    assert {'potential', 'report', 'learning_curve'} <= set(spec.outputs)
    assert spec.outputs['potential'].valid_type is pod.outputs['potential'].valid_type


class TestInput:
    def test_input_and_data(self, written, inputs):
        info, folder, values = written(**inputs)
        recorded = yaml.safe_load(pacemaker_data.text('fit_al', 'input.yaml'))
        assert {key: values[key] for key in ('cutoff', 'seed', 'potential', 'fit', 'backend')} == {
            key: recorded[key] for key in ('cutoff', 'seed', 'potential', 'fit', 'backend')
        }
        assert values['data'] == {'filename': 'df.pckl.gzip'}
        assert values['metadata']['origin'] == f'AiiDA frames {inputs["frames"].uuid}'
        alone = -1.5 * inputs['frames'].frames.counts
        assert table(folder)['energy_corrected'].to_numpy() == pytest.approx(inputs['frames'].frames.energy - alone)
        assert info.codes_info[0].cmdline_params == ['input.yaml']
        assert (info.codes_info[0].stdout_name, info.codes_info[0].stderr_name) == ('pacemaker.out', 'pacemaker.err')

    def test_the_data_are_not_kept_twice(self, written, inputs):
        info, _, _ = written(**inputs)
        assert info.provenance_exclude_list == ['df.pckl.gzip']

    def test_a_test_file_of_its_own(self, written, inputs):
        info, folder, values = written(**inputs, test_frames=FramesData(pacemaker_data.frames('al_emt_test')))
        assert values['data'] == {'filename': 'df.pckl.gzip', 'test_filename': 'df_test.pckl.gzip'}
        assert (len(table(folder)), len(table(folder, 'df_test.pckl.gzip'))) == (60, 12)
        assert set(table(folder).columns) == set(table(folder, 'df_test.pckl.gzip').columns), 'Pacemaker joins both'
        assert info.provenance_exclude_list == ['df.pckl.gzip', 'df_test.pckl.gzip']

    def test_a_factor_of_all_forces_scales_the_column_and_reaches_the_loss(self, written, inputs):
        """Pacemaker divides w_forces by its sum: what would be lost there is in kappa."""
        _, folder, values = written(**{**inputs, 'settings': orm.Dict(pacemaker_data.settings(kappa_f=2.0))})
        assert {float(row[0]) for row in table(folder)['w_forces']} == {2.0}
        assert values['fit']['loss']['kappa'] == pytest.approx(0.6 / 1.3)

    def test_factors_of_a_type(self, written, inputs):
        frames = inputs['frames'].frames
        kinds = ['md'] * 20 + ['rattle'] * 40
        changed = {
            'frames': FramesData(frames.replace(config_type=kinds)),
            'settings': orm.Dict(pacemaker_data.settings(kappa_f={'md': 4})),
        }
        _, folder, values = written(**{**inputs, **changed})
        assert [float(row[0]) for row in table(folder)['w_forces']] == [4.0] * 20 + [1.0] * 40
        assert values['fit']['loss']['kappa'] == pytest.approx(0.3 * 2 / (0.7 + 0.3 * 2)), 'their mean over the atoms is 2'

    def test_energy_based_weights_are_left_to_pacemaker(self, written, inputs):
        _, folder, values = written(**{**inputs, 'settings': orm.Dict(pacemaker_data.settings(weighting='energy'))})
        assert 'w_forces' not in table(folder).columns
        assert values['fit']['weighting']['type'] == 'EnergyBasedWeightingPolicy'

    def test_the_settings_may_name_the_trainer_or_not(self, written, inputs):
        settings = {**pacemaker_data.settings(), 'trainer': PACEMAKER}
        assert written(**{**inputs, 'settings': orm.Dict(settings)})[2] == written(**inputs)[2]


class TestRetraining:
    def test_the_same_basis(self, written, inputs, old_potential):
        info, folder, values = written(**inputs, initial_potential=old_potential())
        assert info.codes_info[0].cmdline_params == ['input.yaml', '-p', 'initial_potential.yaml']
        assert values['potential']['functions']['number_of_functions_per_element'] == 60
        with folder.open('initial_potential.yaml', 'rb') as handle:
            assert handle.read() == pacemaker_data.files()['output_potential.yaml']
        assert 'initial_potential.yaml' in info.provenance_exclude_list

    def test_a_larger_basis(self, written, inputs, old_potential):
        larger = orm.Dict(pacemaker_data.settings(b_basis_size=90, ladder_step=10))
        info, _, values = written(**{**inputs, 'settings': larger}, initial_potential=old_potential())
        assert info.codes_info[0].cmdline_params == ['input.yaml', '-ip', 'initial_potential.yaml']
        assert values['fit']['ladder_step'] == 10

    def test_the_ladder_is_left_out_when_the_basis_stays(self, written, inputs, old_potential):
        same = orm.Dict(pacemaker_data.settings(ladder_step=10))
        _, _, values = written(**{**inputs, 'settings': same}, initial_potential=old_potential())
        assert 'ladder_step' not in values['fit']

    def test_a_smaller_basis_is_refused_before_the_job(self, inputs, code, old_potential):
        smaller = orm.Dict(pacemaker_data.settings(b_basis_size=20))
        _, node = run(**{**inputs, 'settings': smaller}, code=code(), initial_potential=old_potential())
        assert node.exit_status == 210
        assert 'its basis has up to 60 functions per element, the settings ask for 20' in node.exit_message

    def test_other_elements_are_refused(self, inputs, code, old_potential):
        with pytest.raises(ValueError, match=r"initial_potential: is for \['Al', 'Cu'\], this fit for \['Al'\]"):
            run(**inputs, code=code(), initial_potential=old_potential(elements=('Al', 'Cu')))

    def test_a_potential_that_pacemaker_did_not_make_is_refused(self, inputs, old_potential):
        potential = old_potential(**{'input.yaml': None})
        problem = validate_inputs({**inputs, 'initial_potential': potential}, None)
        assert problem == "initial_potential: has no ['input.yaml']; Pacemaker goes on only from potentials that it made itself"


class TestRefused:
    def test_elements_that_are_not_listed(self, inputs, code):
        alloy = {'frames': FramesData(pacemaker_data.frames('alcu_emt', 3))}
        with pytest.raises(ValueError, match=r"frames: holds \['Cu'\], which elements \['Al'\] does not list"):
            run(**{**inputs, **alloy}, code=code())

    def test_also_in_the_test_set(self, inputs):
        problem = validate_inputs({**inputs, 'test_frames': FramesData(pacemaker_data.frames('alcu_emt', 3))}, None)
        assert problem.startswith("test_frames: holds ['Cu']")

    @pytest.mark.parametrize('elements', [[], ['Al', 'Al']])
    def test_elements_that_are_no_set(self, inputs, elements):
        assert validate_inputs({**inputs, 'elements': orm.List(elements)}, None).startswith('elements: got ')

    def test_good_inputs(self, inputs):
        assert validate_inputs(inputs, None) is None
        assert validate_settings(inputs['settings'], None) is None

    @pytest.mark.parametrize(
        ('changes', 'said'),
        [
            ({'pacemaker': {'batch_size': 0}}, 'pacemaker.batch_size: got 0; input should be greater than 0'),
            ({'pacemaker': {'kapa': 0.3}}, 'Pacemaker ignores keys that it does not know without a word'),
            ({'stress_weight': 10}, 'stress_weight: got 10; Pacemaker has no stress loss'),
            ({'cutof': 6}, 'cutof: unknown key'),
        ],
    )
    def test_settings(self, inputs, code, changes, said):
        with pytest.raises(ValueError, match=said.split(';', maxsplit=1)[0]):
            run(**{**inputs, 'settings': orm.Dict(changes)}, code=code())
        assert said in validate_settings(orm.Dict(changes), None)

    @pytest.mark.parametrize(
        ('change', 'said'),
        [
            ({'references': 'Cu'}, "no labelled isolated atom of ['Al']"),
            ({'elements': ['Al', 'Cu'], 'references': 'AlCu'}, "frames: no frame holds ['Cu']"),
            ({'energy': -900.0}, 'Pacemaker would replace the reference energies without asking'),
            ({'labelled': False}, '2 of 2 frames are not labelled'),
            ({'pbc': [True, True, False]}, 'Pacemaker takes only all periodic or not periodic'),
            ({'fingerprint': 'pbe'}, 'labels of 2 levels of theory are never mixed'),
            ({'kappa_f': {'sqs': 2}}, "names the config_type 'sqs', which no frame has"),
        ],
        ids=lambda value: '' if isinstance(value, str) else next(iter(value)),
    )
    def test_what_stands_in_the_frames_ends_the_job_before_it_is_submitted(self, inputs, code, change, said):
        frames = pacemaker_data.frames(count=2, labelled=change.get('labelled', True))
        columns = {name: change[name] for name in ('energy', 'fingerprint') if name in change}
        if 'pbc' in change:
            columns['pbc'] = [change['pbc']] * 2
        changed = {'frames': FramesData(frames.replace(**columns))}
        if 'references' in change:
            names = {'Cu': ['Cu'], 'AlCu': ['Al', 'Cu']}[change['references']]
            changed['references'] = FramesData(pacemaker_data.references(*names))
        if 'elements' in change:
            changed['elements'] = orm.List(change['elements'])
        if 'kappa_f' in change:
            changed['settings'] = orm.Dict(pacemaker_data.settings(kappa_f=change['kappa_f']))
        _, node = run(**{**inputs, **changed}, code=code())
        assert node.exit_status == 210
        assert said in node.exit_message
        assert 'remote_folder' not in node.outputs, 'nothing was submitted'

    def test_no_frames(self, inputs, code):
        _, node = run(**{**inputs, 'frames': FramesData(Frames.from_atoms([]))}, code=code())
        assert node.exit_status == 210
        assert 'frames: holds no structure' in node.exit_message


class TestJob:
    def test_a_recorded_fit(self, inputs, code):
        outputs, node = run(**inputs, code=code(), test_frames=FramesData(pacemaker_data.frames('al_emt_test')))
        assert node.is_finished_ok, node.exit_message
        assert outputs['potential'].is_stored
        assert outputs['potential'].record.training_uuid == inputs['frames'].uuid
        assert outputs['report']['training_errors']['force_rmse'] == pytest.approx(0.00949683, rel=1e-5)
        assert outputs['learning_curve'].get_array('iter_num')[-1] == 150
        assert 'trainer_predictions.npz' in outputs['potential'].base.repository.list_object_names()
        assert 'input.yaml' in node.base.repository.list_object_names()
        assert 'df.pckl.gzip' not in node.base.repository.list_object_names()

    def test_two_elements(self, inputs, code):
        alloy = {
            'frames': FramesData(pacemaker_data.frames('alcu_emt')),
            'references': FramesData(pacemaker_data.references('Al', 'Cu')),
            'elements': orm.List(['Cu', 'Al']),
        }
        outputs, node = run(**{**inputs, **alloy}, code=code('fit_alcu'))
        assert node.is_finished_ok, node.exit_message
        assert outputs['potential'].elements == ['Cu', 'Al']
        lines = outputs['potential'].lammps_lines(grade=True)
        assert lines[-2:] == ['pair_style pace/extrapolation', 'pair_coeff * * output_potential.yaml output_potential.asi Cu Al']

    def test_one_fit_after_the_other(self, inputs, code):
        first, _ = run(**inputs, code=code())
        same = orm.Dict(pacemaker_data.settings(max_iter=20))
        second, node = run(**{**inputs, 'settings': same}, code=code('upfit_p'), initial_potential=first['potential'])
        assert node.is_finished_ok, node.exit_message
        larger = orm.Dict(pacemaker_data.settings(max_iter=20, b_basis_size=90))
        _, node = run(**{**inputs, 'settings': larger}, code=code('upfit_ip'), initial_potential=second['potential'])
        assert node.is_finished_ok, node.exit_message

    def test_a_broken_installation_says_so_in_seconds(self, inputs, code):
        start = time.monotonic()
        _, node = run(**inputs, code=code(broken='selftest'))
        assert time.monotonic() - start < SECONDS
        assert node.exit_status == 401
        assert "self-test: ModuleNotFoundError: No module named 'maxvolpy'" in node.exit_message
        assert 'pacemaker.err' not in node.outputs.retrieved.base.repository.list_object_names()

    @pytest.mark.parametrize(
        ('broken', 'status', 'said'),
        [
            ('yace', 461, "return code 1: ModuleNotFoundError: No module named 'pyace'"),
            ('asi', 462, 'return code 1: MemoryError: the projections need 40.0GiB'),
            ('mixed', 320, 'not of one fit'),
            ('killed', 340, 'the walltime or a signal ended it'),
        ],
    )
    def test_what_goes_wrong_besides(self, inputs, code, broken, status, said):
        outputs, node = run(**inputs, code=code(broken=broken))
        assert node.exit_status == status
        assert said in node.exit_message
        assert 'learning_curve' in outputs or broken == 'mixed'
        assert 'potential' not in outputs
        assert 'interim_potential_0.yaml' in node.outputs.retrieved.base.repository.list_object_names()

    @pytest.mark.parametrize(
        ('case', 'failure'),
        [
            ('dup', Failure.LOSS_NOT_FINITE),
            ('inff', Failure.LOSS_NOT_FINITE),
            ('notf', Failure.INSTALLATION),
            ('dft', Failure.REFERENCE_REPLACED),
            ('unknownfn', Failure.SETTINGS_REFUSED),
        ],
    )
    def test_recorded_failures(self, inputs, code, case, failure):
        outputs, node = run(**inputs, code=code(f'failures/{case}'))
        assert node.exit_status == STATUS_OF[failure]
        assert 'potential' not in outputs
        assert outputs['report']['training_errors'] == {}

    def test_other_codes_for_the_export(self, inputs, code, localhost):
        other = {
            port: orm.InstalledCode(
                label=f'{name}-{inputs["frames"].uuid[:8]}',
                computer=localhost,
                filepath_executable=str(pacemaker_data.BIN / name),
                prepend_text='export MLIP_PACEMAKER_CASE=fit_al',
            )
            for port, name in (('yaml2yace_code', 'pace_yaml2yace'), ('activeset_code', 'pace_activeset'))
        }
        _, node = run(**inputs, code=code(), **other)
        assert node.is_finished_ok, node.exit_message


@pytest.mark.pacemaker
class TestRealPrograms:
    """The same with the real programs, on a basis of ten functions and three iterations."""

    SETTINGS = {'cutoff': 6.0, 'pacemaker': pacemaker_data.SMALL}

    @pytest.fixture
    def fit(self, localhost, inputs):
        few = FramesData(pacemaker_data.frames(count=10))
        return run(**{**inputs, 'frames': few, 'settings': orm.Dict(self.SETTINGS)}, code=real(localhost))

    def test_a_fit(self, fit):
        outputs, node = fit
        assert node.is_finished_ok, node.exit_message
        assert outputs['report']['n_iterations'] == 3
        assert outputs['report']['functions'] == {'Al': 10}
        assert 0 < outputs['report']['gamma_train_max'] <= 1.01
        assert outputs['report']['training_errors']['force_rmse'] > 0

    def test_a_fit_that_goes_on_starts_at_the_old_loss(self, fit, inputs, localhost):
        first, _ = fit
        few = FramesData(pacemaker_data.frames(count=10))
        changed = {'frames': few, 'settings': orm.Dict(self.SETTINGS)}
        second, node = run(**{**inputs, **changed}, code=real(localhost), initial_potential=first['potential'])
        assert node.is_finished_ok, node.exit_message
        losses = second['learning_curve'].get_array('loss')
        assert losses[0] == pytest.approx(first['report']['loss'], rel=0.05)

    def test_a_basis_that_grows(self, fit, inputs, localhost):
        first, _ = fit
        few = FramesData(pacemaker_data.frames(count=10))
        grown = {**self.SETTINGS, 'pacemaker': {**pacemaker_data.SMALL, 'b_basis_size': 15}}
        changed = {'frames': few, 'settings': orm.Dict(grown)}
        second, node = run(**{**inputs, **changed}, code=real(localhost), initial_potential=first['potential'])
        assert node.is_finished_ok, node.exit_message
        assert second['report']['functions']['Al'] > 10

    def test_weights_of_the_forces(self, inputs, localhost):
        few = FramesData(pacemaker_data.frames(count=10))
        weighted = {**self.SETTINGS, 'pacemaker': {**pacemaker_data.SMALL, 'kappa_f': {'rattle': 3.0}}}
        _, node = run(**{**inputs, 'frames': few, 'settings': orm.Dict(weighted)}, code=real(localhost))
        assert node.is_finished_ok, node.exit_message
