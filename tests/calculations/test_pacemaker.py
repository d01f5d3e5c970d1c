"""`PacemakerCalculation`: what it writes and what it refuses; whole jobs are in `test_pacemaker_real.py`."""

import contextlib
import gzip
import io
import json
import pickle

import pytest
import yaml
from aiida import orm
from aiida.common.folders import SandboxFolder
from aiida.engine import run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.calculations.pacemaker import validate_inputs
from aiida_mlip_autopipe.calculations.spec import settings_validator
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace.core import CORE_OUTER, cores, shortest_distances
from aiida_mlip_autopipe.engines.ace.pacemaker_settings import PacemakerTrainer
from aiida_mlip_autopipe.engines.ace.potential import record_of
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from tests import pacemaker_data
from tests.pacemaker_code import installed, linear_potential

PACEMAKER = 'mlip_autopipe.pacemaker'


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
    """Return a code whose program is never run here."""
    return installed(localhost, '/bin/true', '')


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
        info, folder = prepared(**inputs, code=code)
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
        assert recorded['fit'].pop('repulsion') == 'auto', 'today the core stands in the bonds'
        core = values['potential']['bonds'].pop('AlAl')
        expected = cores(shortest_distances(inputs['frames'].frames, ['Al'], 6.0))['Al', 'Al']
        assert (core['r_in'], core['delta_in']) == pytest.approx(expected)
        assert (core['inner_cutoff_type'], core['core-repulsion']) == ('zbl', [1, 1])
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
        assert info.provenance_exclude_list == ['df.pckl.gzip', 'select_active_set.py']

    def test_a_test_file_of_its_own(self, written, inputs):
        info, folder, values = written(**inputs, test_frames=FramesData(pacemaker_data.frames('al_emt_test')))
        assert values['data'] == {'filename': 'df.pckl.gzip', 'test_filename': 'df_test.pckl.gzip'}
        assert (len(table(folder)), len(table(folder, 'df_test.pckl.gzip'))) == (60, 12)
        assert set(table(folder).columns) == set(table(folder, 'df_test.pckl.gzip').columns), 'Pacemaker joins both'
        assert info.provenance_exclude_list == ['df.pckl.gzip', 'df_test.pckl.gzip', 'select_active_set.py']

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
        with folder.open('initial_potential.yaml') as handle:
            (start,) = yaml.safe_load(handle)['species']
        (old,) = yaml.safe_load(pacemaker_data.files()['output_potential.yaml'])['species']
        assert start['nbody'] == old['nbody']
        assert start['r_in'] == values['potential']['bonds']['AlAl']['r_in'] == pytest.approx(0.8 * old['r_in'], rel=0.05)
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
        _, node = run(**{**inputs, 'settings': smaller}, code=code, initial_potential=old_potential())
        assert node.exit_status == 210
        assert 'its basis has up to 60 functions per element, the settings ask for 20' in node.exit_message

    def test_other_elements_are_refused(self, inputs, code, old_potential):
        with pytest.raises(ValueError, match=r"initial_potential: is for \['Al', 'Cu'\], this fit for \['Al'\]; they must"):
            run(**inputs, code=code, initial_potential=old_potential(elements=('Al', 'Cu')))

    def test_a_potential_whose_basis_is_unknown_is_refused(self, inputs, old_potential):
        potential = old_potential(**{'input.yaml': None})
        problem = validate_inputs({**inputs, 'initial_potential': potential}, None)
        assert problem == "initial_potential: has no ['input.yaml']; its basis cannot be compared with the settings"

    def test_one_that_goes_on_from_a_linear_fit_is_refused(self, inputs, code, old_potential):
        potential = old_potential(**{'input.yaml': b'potential: {filename: initial_potential.yaml}'})
        _, node = run(**inputs, code=code, initial_potential=potential)
        assert node.exit_status == 210
        assert 'set initial_potential: linear to go on with it' in node.exit_message


class TestLinearStart:
    @pytest.fixture
    def almg(self, tmp_path):
        elements = ['Mg', 'Al']
        folder = tmp_path / 'linear'
        folder.mkdir()
        return {
            'frames': FramesData(pacemaker_data.almg()),
            'references': FramesData(pacemaker_data.references(*elements, energies=pacemaker_data.ALONE_ALMG)),
            'elements': orm.List(elements),
            'seed': orm.Int(1),
            'settings': orm.Dict({'cutoff': 5.0}),
            'initial_potential': linear_potential(folder, elements),
        }

    def test_it_is_embedded_in_the_densities_of_the_settings(self, written, almg):
        info, folder, values = written(**almg)
        assert info.codes_info[0].cmdline_params == ['input.yaml', '-p', 'initial_potential.yaml']
        assert values['potential'] == {'filename': 'initial_potential.yaml'}
        assert values['fit']['loss'] == {'kappa': 0.01, 'L1_coeffs': 0.0, 'L2_coeffs': 0.0}
        assert values['fit']['maxiter'] == 100
        with folder.open('initial_potential.yaml') as handle:
            blocks = {block['speciesblock']: block for block in yaml.safe_load(handle)['species']}
        assert {len(function['c']) for function in blocks['Mg']['nbody']} == {2}
        shortest = shortest_distances(almg['frames'].frames, ['Al', 'Mg'], 5.0)
        assert blocks['Al Mg']['r_in'] == pytest.approx(CORE_OUTER * shortest['Al', 'Mg'])

    def test_without_a_core(self, written, almg):
        _, folder, _ = written(**{**almg, 'settings': orm.Dict({'cutoff': 5.0, 'core_repulsion': False})})
        with folder.open('initial_potential.yaml') as handle:
            assert {tuple(block.get('core-repulsion', (0, 0))) for block in yaml.safe_load(handle)['species']} == {(0, 0)}

    def test_a_missing_start_is_refused(self, almg):
        del almg['initial_potential']
        problem = validate_inputs(almg, None)
        assert problem.startswith('initial_potential: missing, and the settings start from one: fit it with mlip_autopipe.ace')

    def test_elements_in_another_order_are_refused(self, almg):
        problem = validate_inputs({**almg, 'elements': orm.List(['Al', 'Mg'])}, None)
        assert (
            problem == "initial_potential: is for ['Mg', 'Al'], this fit for ['Al', 'Mg']; they must be the same, in this order"
        )

    def test_a_potential_of_another_kind_is_refused(self, almg, potential_folder):
        other = PotentialData.from_folder(potential_folder(elements=('Mg', 'Al')))
        problem = validate_inputs({**almg, 'initial_potential': other}, None)
        assert problem == "initial_potential: has no ['output_potential.yaml']; Pacemaker goes on only from ACE potentials"

    def test_another_cutoff_is_refused_before_the_job(self, almg, code):
        _, node = run(**{**almg, 'settings': orm.Dict({'cutoff': 6.0})}, code=code)
        assert node.exit_status == 210
        assert 'its cutoff is 5 Å, that of the settings 6 Å' in node.exit_message

    def test_another_embedding_is_refused_before_the_job(self, almg, code):
        one = {'ALL': {'fs_parameters': [1, 1], 'ndensity': 1}}
        first = orm.Dict({'cutoff': 5.0, 'embeddings': {'Al': one['ALL']}})
        _, node = run(**{**almg, 'settings': first}, code=code)
        assert node.exit_status == 210
        assert "embeddings: none for Mg; there are ['Al']" in node.exit_message

    def test_what_is_no_potential_is_refused_before_the_job(self, almg, code, tmp_path):
        broken = tmp_path / 'broken'
        almg['initial_potential'].write(broken)
        text = (broken / 'output_potential.yaml').read_text()
        (broken / 'output_potential.yaml').write_text(text[: len(text) // 2], encoding='utf-8')
        record = json.loads((broken / POTENTIAL_RECORD).read_text())
        (broken / POTENTIAL_RECORD).write_text(json.dumps({**record, 'checksums': {}}), encoding='utf-8')
        _, node = run(**{**almg, 'initial_potential': PotentialData.from_folder(broken)}, code=code)
        assert node.exit_status == 210
        assert 'initial_potential.yaml: not a potential in the B-basis' in node.exit_message


class TestRefused:
    def test_elements_that_are_not_listed(self, inputs, code):
        alloy = {'frames': FramesData(pacemaker_data.frames('alcu_emt', 3))}
        with pytest.raises(ValueError, match=r"frames: holds \['Cu'\], which elements \['Al'\] does not list"):
            run(**{**inputs, **alloy}, code=code)

    def test_also_in_the_test_set(self, inputs):
        problem = validate_inputs({**inputs, 'test_frames': FramesData(pacemaker_data.frames('alcu_emt', 3))}, None)
        assert problem.startswith("test_frames: holds ['Cu']")

    @pytest.mark.parametrize('elements', [[], ['Al', 'Al']])
    def test_elements_that_are_no_set(self, inputs, elements):
        assert validate_inputs({**inputs, 'elements': orm.List(elements)}, None).startswith('elements: got ')

    def test_good_inputs(self, inputs):
        assert validate_inputs(inputs, None) is None
        assert settings_validator(PacemakerTrainer)(inputs['settings'], None) is None

    @pytest.mark.parametrize(
        ('changes', 'said'),
        [
            ({'batch_size': 0}, 'batch_size: got 0; input should be greater than 0'),
            ({'kapa': 0.3}, 'Pacemaker ignores keys that it does not know without a word'),
            ({'stress_weight': 10}, 'stress_weight: Pacemaker has none'),
            ({'cutof': 6}, "unknown key 'cutof'; did you mean 'cutoff'"),
        ],
    )
    def test_settings(self, inputs, code, changes, said):
        with pytest.raises(ValueError, match=said.split(';', maxsplit=1)[0]):
            run(**{**inputs, 'settings': orm.Dict(changes)}, code=code)
        assert said in settings_validator(PacemakerTrainer)(orm.Dict(changes), None)

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
        _, node = run(**{**inputs, **changed}, code=code)
        assert node.exit_status == 210
        assert said in node.exit_message
        assert 'remote_folder' not in node.outputs, 'nothing was submitted'

    def test_no_frames(self, inputs, code):
        _, node = run(**{**inputs, 'frames': FramesData(Frames.from_atoms([]))}, code=code)
        assert node.exit_status == 210
        assert 'frames: holds no structure' in node.exit_message
