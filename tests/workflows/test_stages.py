"""The steps that the one-shot run and the loop share, walked through the outline of the one-shot run."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida_pseudo.data.pseudo.upf import UpfData
from ase.build import bulk
from ase.io import write

from aiida_mlip_autopipe.cli.setup import ensure_code
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.testset import compositions
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain
from aiida_mlip_autopipe.workflows.one_shot import OneShotWorkChain
from aiida_mlip_autopipe.workflows.stages import SEED_STRIDE, validate_config
from tests.mace_data import MODEL
from tests.workflows.conftest import Children

BUDGET = {'max_labels': 18, 'initial_labels': 9, 'test_labels': 5, 'test_md_labels': 0}


@pytest.fixture
def one_shot(walk, children, config):
    return lambda **sections: walk(OneShotWorkChain, children, config=config(**sections))


@pytest.fixture(scope='module')
def plain(walk, fake_process, emt_frames, potential_folder, full_config, worker_code):
    """The run in which nothing goes wrong, walked once."""
    config = orm.Dict(full_config(worker={'options': {'walltime': 77, 'queue': 'short'}}))
    return walk(OneShotWorkChain, Children(fake_process, emt_frames, potential_folder), config=config)


def inputs_of(found, name):
    return [inputs for process, inputs in found.submitted if process.__name__ == name]


def test_isolated_atoms_are_labelled_with_the_selection(one_shot):
    found = one_shot(loop=BUDGET)
    (label,) = inputs_of(found, 'LabelAseCalculation')
    frames = label['frames'].frames
    assert frames.config_type.tolist()[:2] == ['isolated_atom'] * 2
    assert len(frames) == 2 + 9 + 5
    assert found.outputs['report']['labels_total'] == 16


def test_isolated_atoms_are_paid_from_the_budget(one_shot):
    found = one_shot(loop={**BUDGET, 'max_labels': 13, 'initial_labels': 24})
    (select,) = inputs_of(found, 'SelectCalculation')
    assert select['budget'].value == 6
    assert 'known' not in select
    assert found.outputs['report']['labels_total'] == 13


def test_the_labels_are_parted_by_what_they_were_bought_for(plain):
    outputs = plain.outputs
    train, test = (outputs[name].frames for name in ('train_frames', 'test_frames'))
    assert len(train) + len(test) + len(outputs['references']) == len(outputs['frames'])
    assert (len(train), len(test)) == (12, 10)
    assert not set(train.lineage.tolist()) & set(test.lineage.tolist())
    assert test.labelled.all()


def test_every_composition_is_on_both_sides(plain):
    """The old test set took whole lineages out of training, and with them compositions: CuAu3 and Au8 in a real run."""
    train, test = (set(compositions(plain.outputs[name].frames)) for name in ('train_frames', 'test_frames'))
    assert train == test
    assert len(train) > 1


def test_training_loses_nothing_to_the_test_set(plain):
    """All that was selected for training is trained on."""
    (label,) = inputs_of(plain, 'LabelAseCalculation')
    pool = {uid for inputs in inputs_of(plain, 'SelectCalculation') for uid in inputs['frames'].frames.uid.tolist()}
    bought = [uid for uid in label['frames'].frames.uid.tolist() if uid in pool]
    assert plain.outputs['train_frames'].frames.uid.tolist() == bought


def test_the_test_set_is_made_with_a_seed_of_its_own(plain):
    own, others = (inputs['seed'].value for inputs in inputs_of(plain, 'GenerateCalculation'))
    assert own == 7
    assert own < others < own + SEED_STRIDE


def test_too_few_test_labels_for_what_was_made_are_refused_before_a_label_is_bought(one_shot, children):
    kinds = itertools.cycle(['sqs', 'strain', 'rattle', 'vacancy', 'eos', 'elastic'])

    def many_kinds(inputs, kind):
        frames = children._frames(12, labelled=False).replace(config_type=np.array([next(kinds) for _ in range(12)]))
        return children._make(kind, outputs={'frames': FramesData(frames), 'report': orm.Dict({'n_frames': 12})})

    children._generate = many_kinds
    found = one_shot(loop=BUDGET)
    assert found.label == 'ERROR_TEST_SET_FAILED'
    assert 'loop.test_labels: got 5; 5 test frames cannot hold each of 6 config_types' in found.exit_code.message
    assert found.exit_code.message.endswith('6 can')
    assert 'LabelAseCalculation' not in found.names
    assert found.outputs['report']['labels_total'] == 0


def test_a_test_set_of_which_nothing_was_labelled_ends_the_run(one_shot, children):
    original = children._label

    def without_test(inputs, kind):
        frames = inputs['frames'].frames
        return original({'frames': FramesData(frames.take(np.arange(2 + 9)))}, kind)

    children._label = without_test
    found = one_shot(loop=BUDGET)
    assert found.label == 'ERROR_LABEL_FAILED'
    assert 'none of the 5 frames of the test set could be labelled' in found.exit_code.message
    assert len(found.outputs['frames']) == 11


def test_references_are_told_apart(plain):
    outputs = plain.outputs
    assert set(outputs['references'].frames.config_type.tolist()) == {'isolated_atom'}


def test_jobs_get_the_options_of_the_config(plain):
    found = plain
    options = inputs_of(found, 'GenerateCalculation')[0]['metadata']['options']
    assert (options['max_wallclock_seconds'], options['queue_name']) == (77, 'short')
    assert inputs_of(found, 'TrainWorkChain')[0]['options']['walltime'] == 77


def test_stages_are_named_in_their_links(plain):
    found = plain
    labels = [inputs['metadata']['call_link_label'] for _, inputs in found.submitted]
    assert labels == ['generate_00', 'generate_test_00', 'select_00', 'label_00', 'train_00']


def test_the_seed_is_the_one_of_the_config(plain):
    found = plain
    assert {inputs['seed'].value for _, inputs in found.submitted if 'seed' in inputs} == {7, 7 + SEED_STRIDE // 2}
    assert SEED_STRIDE > 1


def test_generate_failed(one_shot, children):
    children.fail['GenerateCalculation'] = 0
    found = one_shot()
    assert found.label == 'ERROR_GENERATE_FAILED'
    assert found.exit_code.message == 'Round 0: generating structures failed: GenerateCalculation broke'
    assert found.outputs['report']['stop_reason'] == 'failed'
    assert found.names == ['GenerateCalculation'] * 2


def test_a_model_that_is_a_file_here_goes_with_the_job(one_shot):
    nodes = [inputs_of(one_shot(select={'model': str(MODEL)}), 'SelectCalculation')[0]['model'] for _ in range(2)]
    assert nodes[0].uuid == nodes[1].uuid, 'the same file gives the same node again, so that the cache finds it'
    assert nodes[0].filename == MODEL.name
    with nodes[0].open(mode='rb') as handle:
        assert handle.read() == MODEL.read_bytes()


@pytest.mark.parametrize('model', ['/on/the/cluster/mine.model', 'medium-mpa-0'])
def test_a_model_that_is_no_file_here_is_left_to_the_compute_machine(one_shot, model):
    (inputs,) = inputs_of(one_shot(select={'model': model}), 'SelectCalculation')
    assert 'model' not in inputs
    assert inputs['settings']['model'] == model


def test_what_walked_is_labelled(walk, children, config, emt_frames):
    """The selection refers to the pool with the walks, not to the generated frames."""
    walks = emt_frames(12, labelled=False, seed=50, config_type='surrogate_md')
    children.walks = walks
    found = walk(OneShotWorkChain, children, config=config())
    (label,) = inputs_of(found, 'LabelAseCalculation')
    assert label['frames'].frames.uid.tolist()[2 : 2 + len(walks)] == walks.uid.tolist()
    assert len(found.outputs['train_frames']) == len(walks)


def test_select_failed(one_shot, children):
    children.fail['SelectCalculation'] = 0
    found = one_shot()
    assert found.label == 'ERROR_SELECT_FAILED'
    assert found.outputs['report']['rounds'] == []


def test_nothing_selected_in_round_0_is_a_failure(one_shot, children):
    children.nothing_selected = True
    found = one_shot()
    assert found.label == 'ERROR_SELECT_FAILED'
    assert 'None was selected' in found.exit_code.message


def test_label_failed_keeps_what_was_quarantined(one_shot, children):
    children.fail['LabelAseCalculation'] = 0
    found = one_shot()
    assert found.label == 'ERROR_LABEL_FAILED'
    assert len(found.outputs['quarantined']) == 1
    assert found.outputs['report']['labels_total'] == 24


def test_a_single_lineage_is_enough(one_shot, children):
    """As of an element: test frames are draws of their own, under a lineage of their own."""
    children.n_generated = 2
    found = one_shot()
    assert found.exit_code is None
    train, test = (found.outputs[name].frames for name in ('train_frames', 'test_frames'))
    assert len(train) == len(test) == 2
    assert not set(train.lineage.tolist()) & set(test.lineage.tolist())


@pytest.mark.parametrize('lost', [{'Au'}, {'Cu', 'Au'}])
def test_references_that_cannot_be_labelled_stop_the_run(one_shot, children, lost):
    children.unlabelled_elements = lost
    found = one_shot()
    assert found.label == 'ERROR_REFERENCES_MISSING'
    assert found.exit_code.message.startswith(f'The isolated atoms of {sorted(lost)} could not be labelled:')
    assert 'scf_not_converged' in found.exit_code.message
    assert {'frames', 'train_frames', 'test_frames', 'quarantined', 'report'} <= set(found.outputs)


def test_train_failed_keeps_the_labels(one_shot, children):
    children.fail['TrainWorkChain'] = 0
    found = one_shot()
    assert found.label == 'ERROR_TRAIN_FAILED'
    assert found.exit_code.message == 'Round 0: training failed: TrainWorkChain broke'
    assert {'frames', 'train_frames', 'test_frames', 'references', 'report'} <= set(found.outputs)
    assert 'potential' not in found.outputs


def test_a_config_is_held_to_its_model(mapping):
    assert validate_config(None, None) is None
    assert validate_config(orm.Dict(mapping()), None) is None
    assert 'train.trainer' in validate_config(orm.Dict(mapping(train={'trainer': 'a'})), None)
    assert 'loop.initial_labels' in validate_config(orm.Dict(mapping(loop={'initial_labels': 2})), None)
    assert validate_config(orm.Dict({'name': 'x'}), None).splitlines() == [
        'system: missing; this key is required',
        'label: missing; this key is required',
    ]


class TestCodes:
    """Programs of their own: Pacemaker as trainer, LAMMPS as explorer."""

    PACE = {'trainer': 'mlip_autopipe.pacemaker', 'code': 'pacemaker-of-config@localhost'}

    @pytest.fixture
    def pacemaker(self, localhost):
        return ensure_code('pacemaker-of-config', localhost, Path('/bin/true'), None)

    @pytest.fixture
    def lmp(self, localhost):
        return ensure_code('lmp-of-config', localhost, Path('/bin/true'), None)

    def test_the_worker_trains_unless_told_otherwise(self, plain, worker_code):
        (train,) = inputs_of(plain, 'TrainWorkChain')
        assert train['code'].pk == train['evaluate_code'].pk == worker_code.pk

    def test_the_trainer_has_the_code_of_its_section(self, one_shot, pacemaker, worker_code):
        found = one_shot(train=self.PACE)
        assert found.exit_code is None
        (train,) = inputs_of(found, 'TrainWorkChain')
        assert (train['code'].pk, train['evaluate_code'].pk) == (pacemaker.pk, worker_code.pk)
        assert train['settings']['trainer'] == 'mlip_autopipe.pacemaker'

    @pytest.fixture
    def pace(self, children, potential_folder):
        """Children of which the training gives potentials of Pacemaker."""
        children._potential = lambda: potential_folder(grade_lines=('pair_style pace/extrapolation',))
        return children

    @pytest.mark.usefixtures('pacemaker')
    def test_the_explorer_has_the_code_of_its_section(self, walk, pace, config, lmp, worker_code):
        explore = {'explorer': 'mlip_autopipe.lammps_pace', 'code': 'lmp-of-config@localhost'}
        sections = {'train': self.PACE, 'explore': explore, 'loop': {'max_rounds': 2}}
        found = walk(ActiveLearningWorkChain, pace, config=config(**sections))
        assert found.exit_code is None
        explore, _ = inputs_of(found, 'ExploreWorkChain')  # the second one is the exam of the last potential
        assert explore['code'].pk == lmp.pk
        assert explore['settings']['explorer'] == 'mlip_autopipe.lammps_pace'
        (acquisition,) = inputs_of(found, 'EvaluateCalculation')
        assert acquisition['code'].pk == worker_code.pk

    @pytest.mark.usefixtures('pacemaker')
    def test_unless_told_otherwise_the_worker_explores_what_pacemaker_made(self, walk, pace, config, worker_code):
        found = walk(ActiveLearningWorkChain, pace, config=config(train=self.PACE, loop={'max_rounds': 2}))
        assert found.exit_code is None
        explore, _ = inputs_of(found, 'ExploreWorkChain')  # the second one is the exam of the last potential
        assert explore['code'].pk == worker_code.pk
        assert explore['settings']['explorer'] == 'mlip_autopipe.lammps_md'

    def test_a_loop_without_the_code_of_lammps_is_refused(self, walk, children, config, pacemaker):
        with pytest.raises(InputError, match=r'explore\.code: missing; mlip_autopipe\.lammps_pace runs a program of its own'):
            walk(
                ActiveLearningWorkChain,
                children,
                config=config(train=self.PACE, explore={'explorer': 'mlip_autopipe.lammps_pace'}),
            )

    def test_a_run_without_the_code_of_pacemaker_is_refused(self, one_shot):
        with pytest.raises(InputError, match=r'train\.code: missing; mlip_autopipe\.pacemaker runs a program of its own'):
            one_shot(train={'trainer': 'mlip_autopipe.pacemaker'})

    def test_codes_that_do_not_exist_are_refused(self, walk, children, config):
        sections = {'train': {**self.PACE, 'code': 'a@b'}, 'explore': {'code': 'c@d'}}
        with pytest.raises(InputError, match=r"(?s)train\.code: got 'a@b'; no such code.*explore\.code: got 'c@d'; no such code"):
            walk(ActiveLearningWorkChain, children, config=config(**sections))


def test_a_config_with_a_mistake_is_refused(walk, children, config):
    mapping = config().get_dict()
    mapping['train']['cutof'] = 5.0
    with pytest.raises(InputError, match="did you mean 'cutoff'"):
        walk(OneShotWorkChain, children, config=orm.Dict(mapping))


def test_a_code_that_does_not_exist_is_refused(walk, children, config):
    with pytest.raises(InputError, match=r"worker\.code: got 'nowhere@localhost'; no such code in this profile"):
        walk(OneShotWorkChain, children, config=config(worker={'code': 'nowhere@localhost'}))


def test_nodes_and_files_of_the_configuration_become_inputs_of_the_generation(one_shot, tmp_path):
    node = orm.StructureData(ase=bulk('Cu', a=3.6)).store()
    path = tmp_path / 'gold.cif'
    write(path, bulk('Au', a=4.1))
    found = one_shot(generate={'structures': {'nodes': [node.pk]}, 'files': {'paths': [str(path)]}}, loop=BUDGET)
    inputs, for_test = inputs_of(found, 'GenerateCalculation')
    assert inputs['bases']['structures_000'].uuid == node.uuid
    assert set(for_test['bases']) == set(inputs['bases'])
    assert inputs['bases']['files_000'].get_content() == path.read_text(encoding='utf-8')


class TestEdge:
    """After submission nothing is read from disk, and the graph answers who used what."""

    @pytest.fixture
    def named(self, config, tmp_path):
        """The configuration of a run that names a model and a file, and both."""
        model, crystal = tmp_path / 'mine.model', tmp_path / 'crystal.cif'
        model.write_bytes(b'weights of this run')
        write(crystal, bulk('Cu', a=3.61))
        mapping = config(select={'model': str(model)}, generate={'files': {'paths': [str(crystal)]}})
        return MLIPConfig.from_mapping(mapping.get_dict()), model, crystal

    def test_files_that_change_after_submission_change_nothing(self, walk, children, named):
        wanted, model, crystal = named
        text = crystal.read_text()
        builder = OneShotWorkChain.get_builder_from_config(wanted)
        model.write_bytes(b'others')
        crystal.unlink()
        found = walk(OneShotWorkChain, children, **builder._inputs(prune=True))
        assert found.exit_code is None
        for inputs in inputs_of(found, 'GenerateCalculation'):
            ((_, base),) = inputs['bases'].items()
            assert base.get_content() == text
        (select,) = inputs_of(found, 'SelectCalculation')
        assert select['model'].get_content(mode='rb') == b'weights of this run'

    def test_the_graph_says_who_used_a_code_a_model_and_a_structure(self, walk, children, named, worker_code):
        wanted, _, _ = named
        found = walk(OneShotWorkChain, children, **OneShotWorkChain.get_builder_from_config(wanted)._inputs(prune=True))
        used = found.process.node.inputs
        for node in (worker_code, used.select.model, next(iter(used.generate.bases.values()))):
            query = orm.QueryBuilder().append(orm.Data, filters={'uuid': node.uuid}, tag='used')
            query.append(orm.WorkChainNode, with_incoming='used', project='uuid')
            assert found.process.node.uuid in query.all(flat=True)

    def test_the_graph_says_who_used_a_pseudopotential(self, walk, config, lda_family, pw_code):
        mapping = config(
            system={'elements': ['Al'], 'prototype': 'fcc', 'compositions': [{'Al': 1.0}], 'lattice_parameters': {'Al': 4.0}}
        ).get_dict()
        label = {
            'labeller': 'mlip_autopipe.label',
            'code': pw_code.full_label,
            'pseudo_family': lda_family.label,
            'cutoff_wfc': 12,
        }
        wanted = MLIPConfig.from_mapping({**mapping, 'label': label})
        process = instantiate_process(get_manager().get_runner(), OneShotWorkChain.get_builder_from_config(wanted))
        query = orm.QueryBuilder().append(UpfData, filters={'attributes.md5': lda_family.pseudos['Al'].md5}, tag='pseudo')
        query.append(orm.WorkChainNode, with_incoming='pseudo', project='uuid')
        assert process.node.uuid in query.all(flat=True)
        query = orm.QueryBuilder().append(orm.InstalledCode, filters={'label': 'pw'}, tag='code')
        query.append(orm.WorkChainNode, with_incoming='code', edge_filters={'label': 'codes__label'}, project='uuid')
        assert process.node.uuid in query.all(flat=True)


class TestProtocol:
    """A run out of a material, codes and the name of a protocol."""

    def built(self, material, protocol=None, codes=None, **overrides):
        label = {'pseudo_family': 'mlip-demo-lda', 'cutoff_wfc': 15}
        return ActiveLearningWorkChain.get_builder_from_protocol(
            material, codes or {'label': 'mlip-worker@localhost'}, protocol, {'label': label, **overrides}
        )

    @pytest.mark.parametrize(('protocol', 'top', 'gate'), [('fast', 300, False), (None, 900, True), ('stringent', 1500, True)])
    def test_each_protocol(self, lda_family, worker_code, lmp_code, protocol, top, gate):
        config = MLIPConfig.from_mapping(self.built(['Al', 'Mg'], protocol).config.get_dict())
        assert config.explore.temperatures[-1] == top
        assert (config.properties is not None) is gate
        assert config.label.protocol == (protocol or 'balanced')
        assert config.train.name == 'mlip_autopipe.pod'

    def test_a_structure_and_overrides(self, lda_family, worker_code, lmp_code):
        node = orm.StructureData(ase=bulk('Al', a=4.02)).store()
        builder = self.built(node, 'fast', train={'cutoff': 4.2}, loop={'max_labels': 60})
        config = MLIPConfig.from_mapping(builder.config.get_dict())
        assert (config.train.cutoff, config.loop.max_labels, config.loop.initial_labels) == (4.2, 60, 24)
        assert [one.uuid for one in builder.generate.bases.values()] == [node.uuid]
        assert config.system.prototype is None

    def test_codes_by_node(self, lda_family, worker_code):
        builder = self.built(['Al'], 'fast', codes={'label': worker_code, 'worker': worker_code})
        assert builder.codes.label.pk == builder.codes.explore.pk == worker_code.pk

    @pytest.mark.parametrize(
        ('protocol', 'codes', 'said'),
        [
            ('quick', {}, "protocol: got 'quick'; must be one of "),
            ('fast', {'pw': 'mlip-worker@localhost'}, "codes: got 'pw'; must be one of worker, label, train, explore, lammps"),
        ],
    )
    def test_mistakes(self, lda_family, protocol, codes, said):
        with pytest.raises(InputError, match=said):
            self.built(['Al'], protocol, codes={'label': 'mlip-worker@localhost', **codes})

    def test_it_is_submitted_as_it_is(self, lda_family, worker_code):
        process = instantiate_process(get_manager().get_runner(), self.built(['Al'], 'fast'))
        assert process.node.label == 'mlip'
