import numpy as np
import pytest
from aiida import orm
from aiida.engine import ProcessState

from aiida_mlip_autopipe.cli import nodes
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.extxyz import write_extxyz
from aiida_mlip_autopipe.science.checks.finding import Finding

ERRORS = {'energy_rmse': 0.0123, 'force_rmse': 0.0987, 'stress_rmse': 0.00624, 'n_frames': 5}
CALIBRATION = {'energy': {'rms': 1.25}, 'force': {'rms': 0.9}}
CHECKS = [
    Finding.at_most('nve_drift', 0.1, 1.0, 'meV/atom/ps', 'it drifts'),
    Finding.at_most('wall_Cu-Au', 3.0, 0.01, 'eV', 'a hole'),
    Finding.not_made('force_agreement', 'nothing to compare'),
]


@pytest.fixture
def labelled(emt_frames, references):
    """Labelled frames of several lineages with the isolated atoms among them."""
    return FramesData(Frames.concatenate([references, emt_frames(10)])).store()


@pytest.fixture
def bare(emt_frames):
    """Labelled frames without isolated atoms."""
    return FramesData(emt_frames(6, seed=4)).store()


@pytest.fixture
def submitted(monkeypatch, daemon, fake_process):
    """Record what would be submitted; the process that comes back has ended as `answer` says."""

    class Record(list):
        answer = {}

    record = Record()

    def submit(process, **inputs):
        ports = process.spec().inputs
        problem = ports.validate(ports.pre_process(dict(inputs)))
        assert problem is None, problem
        record.append((process.__name__, inputs))
        kind = orm.CalcJobNode if process.__name__.endswith('Calculation') else orm.WorkChainNode
        return fake_process(kind, label=process.__name__, **record.answer)

    monkeypatch.setattr(nodes, 'submit', submit)
    return record


@pytest.fixture
def train(run_cli, config_file, worker_code):
    return lambda *arguments, **sections: run_cli('train', arguments[0], config_file(**sections), *arguments[1:])


def error_of(result):
    assert result.exit_code == 1, result.output
    return ' '.join(result.output.split())


class TestTrain:
    def test_whole_lineages_are_set_aside(self, train, labelled, submitted):
        result = train(labelled.pk)
        assert result.exit_code == 0, result.output
        ((name, inputs),) = submitted
        assert name == 'TrainWorkChain'
        sets = {key: inputs[key].frames for key in ('train_frames', 'test_frames', 'references')}
        assert sum(len(frames) for frames in sets.values()) == len(labelled)
        assert set(sets['references'].config_type) == {'isolated_atom'}
        assert not set(sets['train_frames'].lineage) & set(sets['test_frames'].lineage)
        assert inputs['elements'].get_list() == ['Cu', 'Au']
        assert inputs['settings']['basis'] == 'S'
        assert 'submitted TrainWorkChain with PK ' in result.output

    def test_a_given_test_set_is_taken_as_it_is(self, train, labelled, bare, submitted):
        assert train(labelled.pk, '--test', bare.pk).exit_code == 0
        ((_, inputs),) = submitted
        assert inputs['test_frames'].uuid == bare.uuid
        assert len(inputs['train_frames']) == len(labelled) - 2
        assert len(inputs['references']) == 2

    def test_given_references_are_taken(self, train, bare, references, submitted):
        node = FramesData(references).store()
        assert train(bare.pk, '--references', node.uuid).exit_code == 0
        ((_, inputs),) = submitted
        assert inputs['references'].uuid == node.uuid
        assert len(inputs['train_frames']) + len(inputs['test_frames']) == len(bare)

    @pytest.mark.parametrize('trainer', ['mlip_autopipe.pod', 'mlip_autopipe.ace'])
    def test_without_isolated_atoms_an_energy_of_each_element_is_fitted(self, train, bare, submitted, trainer):
        result = train(bare.pk, train={'trainer': trainer})
        assert result.exit_code == 0, result.output
        said = f'{bare.pk} holds no isolated atoms (config_type isolated_atom) and none were given with --references'
        assert f'{said}: an energy of each element is fitted in their place' in result.output
        ((_, inputs),) = submitted
        assert 'references' not in inputs
        assert len(inputs['train_frames']) + len(inputs['test_frames']) == len(bare)

    def test_without_isolated_atoms_but_with_a_test_set(self, train, bare, labelled, submitted):
        assert train(bare.pk, '--test', labelled.pk).exit_code == 0
        ((_, inputs),) = submitted
        assert 'references' not in inputs
        assert len(inputs['train_frames']) == len(bare)

    def test_the_code_of_the_trainer(self, train, labelled, submitted, worker_code):
        assert train(labelled.pk).exit_code == 0
        ((_, inputs),) = submitted
        assert inputs['code'].uuid == inputs['evaluate_code'].uuid == worker_code.uuid

    def test_waiting_prints_errors_and_checks(self, train, labelled, submitted, fake_potential):
        report = {'train_errors': ERRORS, 'test_errors': None, 'checks': [check.to_dict() for check in CHECKS]}
        submitted.answer = {'outputs': {'report': orm.Dict(report), 'potential': fake_potential}}
        result = train(labelled.pk, '--wait')
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert 'train: energy 12.30 meV/atom, force 98.7 meV/Å, stress 1.000 GPa (rms of 5 frames)' in lines
        assert 'nve_drift          passed   0.1 of 1 meV/atom/ps' in lines
        assert 'wall_Cu-Au         FAILED   3 of 0.01 eV' in lines
        assert 'force_agreement    not made' in lines
        assert f'potential: PK {fake_potential.pk}' in lines

    def test_waiting_for_a_failure(self, train, labelled, submitted):
        submitted.answer = {'status': 510, 'message': 'The potential did not pass its checks: a hole'}
        message = error_of(train(labelled.pk, '--wait'))
        assert 'did not end well: The potential did not pass its checks: a hole (verdi process report ' in message


class TestTrainRefused:
    def test_no_such_node(self, train, submitted):
        assert "FRAMES_PK: got '999999'; no single node has it" in error_of(train(999999))

    def test_a_node_of_another_type(self, train, submitted):
        node = orm.Int(3).store()
        assert f"FRAMES_PK: got '{node.pk}', a Int; expected a FramesData" in error_of(train(node.pk))

    def test_unlabelled_frames(self, train, emt_frames, references, submitted):
        mixed = Frames.concatenate([references, emt_frames(4), emt_frames(3, labelled=False, seed=9)])
        node = FramesData(mixed).store()
        assert f'FRAMES_PK: got {node.pk}; 3 of its 9 frames are not labelled' in error_of(train(node.pk))

    def test_no_isolated_atoms_for_a_trainer_that_needs_them(self, train, bare, submitted):
        message = error_of(train(bare.pk, train={'trainer': 'mlip_autopipe.pacemaker', 'code': 'mlip-worker@localhost'}))
        assert 'references: the trainer mlip_autopipe.pacemaker needs an isolated atom of each element' in message
        assert submitted == []

    def test_isolated_atoms_only(self, train, bare, references, submitted):
        node = FramesData(references).store()
        assert 'which holds isolated atoms only' in error_of(train(node.pk, '--test', bare.pk))

    def test_one_element_missing_in_the_training_set(self, train, emt_frames, references, bare, submitted):
        copper = emt_frames(6).take([0, 5])
        node = FramesData(Frames.concatenate([references, copper])).store()
        message = error_of(train(node.pk, '--test', bare.pk))
        assert "train_frames holds no atom of ['Au'], nothing about them can be learnt" in message

    def test_one_isolated_atom_missing(self, train, bare, references, submitted):
        node = FramesData(references.take([1])).store()
        assert "references holds no isolated atom of ['Cu']" in error_of(train(bare.pk, '--references', node.pk))

    def test_another_level_of_theory(self, train, bare, references, submitted):
        node = FramesData(references.replace(fingerprint='pbe')).store()
        assert 'labels of different levels of theory are never mixed' in error_of(train(bare.pk, '--references', node.pk))

    def test_a_single_lineage_cannot_be_split(self, train, emt_frames, references, submitted):
        node = FramesData(Frames.concatenate([references, emt_frames(6, per_lineage=6)])).store()
        message = error_of(train(node.pk))
        assert 'no lineage can be set aside as test set' in message
        assert 'give a test set with --test' in message

    @pytest.mark.parametrize(
        ('section', 'expected'),
        [
            ({'trainer': 'mlip_autopipe.nothing'}, "train.trainer: got 'mlip_autopipe.nothing'; "),
            ({'checks': {'nve_temperature': 0}}, 'train.checks.nve_temperature: got 0'),
            ({'code': 'nothing@nowhere'}, "train.code: got 'nothing@nowhere'; no such code"),
        ],
    )
    def test_a_mistake_in_the_file(self, train, labelled, submitted, section, expected):
        assert expected in error_of(train(labelled.pk, train=section))

    def test_no_daemon(self, train, labelled, daemon):
        daemon.is_daemon_running = False
        assert 'no AiiDA daemon is running' in error_of(train(labelled.pk))

    def test_nothing_was_submitted(self, train, bare, submitted):
        train(bare.pk, '--references', 999999)
        train(999999)
        assert submitted == []


class TestEvaluate:
    def test_frames_by_their_pk(self, run_cli, fake_potential, bare, submitted, worker_code):
        result = run_cli('evaluate', fake_potential.pk, bare.pk)
        assert result.exit_code == 0, result.output
        ((name, inputs),) = submitted
        assert (name, inputs['potential'].uuid, inputs['frames'].uuid) == ('EvaluateCalculation', fake_potential.uuid, bare.uuid)
        assert 'submitted EvaluateCalculation with PK ' in result.output

    def test_frames_of_a_file(self, run_cli, fake_potential, emt_frames, submitted, worker_code, tmp_path):
        path = tmp_path / 'some.extxyz'
        write_extxyz(path, emt_frames(3))
        assert run_cli('evaluate', fake_potential.uuid, path).exit_code == 0
        ((_, inputs),) = submitted
        assert inputs['frames'].frames.uid.tolist() == emt_frames(3).uid.tolist()

    def test_the_potential_of_a_run(self, run_cli, fake_potential, bare, submitted, worker_code, fake_process):
        run = fake_process(orm.WorkChainNode, outputs={'potential': fake_potential}, label='TrainWorkChain')
        assert run_cli('evaluate', run.pk, bare.pk).exit_code == 0
        assert submitted[0][1]['potential'].uuid == fake_potential.uuid

    def waiting(self, run_cli, submitted, fake_potential, bare, **report):
        content = {
            'n_frames': 6,
            'errors': ERRORS,
            'gamma_max': 1.234,
            'force_spread_max': 0.2,
            'calibration': CALIBRATION,
            **report,
        }
        predictions = orm.ArrayData({'energy': np.zeros(6)})
        submitted.answer = {'outputs': {'report': orm.Dict(content), 'predictions': predictions}}
        result = run_cli('evaluate', fake_potential.pk, bare.pk, '--wait')
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    def test_waiting_prints_errors_and_grades(self, run_cli, submitted, fake_potential, bare, worker_code):
        lines = self.waiting(run_cli, submitted, fake_potential, bare)
        assert 'errors: energy 12.30 meV/atom, force 98.7 meV/Å, stress 1.000 GPa (rms of 5 frames)' in lines
        assert 'grade: up to 1.23' in lines
        assert 'stated standard deviation of the forces: up to 200 meV/Å' in lines
        assert 'errors over the stated standard deviation (rms, 1 is right): energy 1.25, force 0.90' in lines
        assert lines[-1].startswith('predictions: PK ')

    def test_what_is_not_there_is_said(self, run_cli, submitted, fake_potential, bare, worker_code):
        absent = dict.fromkeys(('errors', 'gamma_max', 'force_spread_max', 'calibration'))
        lines = self.waiting(run_cli, submitted, fake_potential, bare, **absent)
        assert 'errors: the frames have no labels' in lines
        assert 'grade: the potential has no active set' in lines
        assert not [line for line in lines if 'standard deviation' in line]

    def test_waiting_for_a_failure(self, run_cli, submitted, fake_potential, bare, worker_code):
        message = 'this LAMMPS has no pair style pace, it was built without the package ML-PACE'
        submitted.answer = {'status': 410, 'message': message}
        assert message in error_of(run_cli('evaluate', fake_potential.pk, bare.pk, '--wait'))


class TestEvaluateRefused:
    def test_no_potential(self, run_cli, bare, submitted):
        expected = f"POTENTIAL_PK: got '{bare.pk}', a FramesData; expected a PotentialData"
        assert expected in error_of(run_cli('evaluate', bare.pk, bare.pk))

    def test_a_run_without_potential(self, run_cli, bare, submitted, fake_process):
        run = fake_process(orm.WorkChainNode, label='TrainWorkChain', state=ProcessState.RUNNING)
        assert 'a TrainWorkChain without a potential among its outputs' in error_of(run_cli('evaluate', run.pk, bare.pk))

    def test_a_missing_file(self, run_cli, fake_potential, submitted):
        expected = "FRAMES: got 'nothing.extxyz'; there is no such file"
        assert expected in error_of(run_cli('evaluate', fake_potential.pk, 'nothing.extxyz'))

    def test_a_broken_file(self, run_cli, fake_potential, submitted, tmp_path):
        path = tmp_path / 'broken.extxyz'
        path.write_text('hello\n', encoding='utf-8')
        assert 'expected a number of atoms' in error_of(run_cli('evaluate', fake_potential.pk, path))

    def test_other_elements(self, run_cli, potential_folder, bare, submitted):
        from aiida_mlip_autopipe.data.potential import PotentialData  # noqa: PLC0415

        copper = PotentialData.from_folder(potential_folder(elements=('Cu',))).store()
        expected = "FRAMES: hold ['Au'], which the potential of ['Cu'] does not know"
        assert expected in error_of(run_cli('evaluate', copper.pk, bare.pk))

    def test_no_such_code(self, run_cli, fake_potential, bare, submitted):
        message = error_of(run_cli('evaluate', fake_potential.pk, bare.pk, '--code', 'nothing@nowhere'))
        assert "--code: got 'nothing@nowhere'; no such code in this profile" in message

    def test_no_daemon(self, run_cli, fake_potential, bare, daemon, worker_code):
        daemon.is_daemon_running = False
        assert 'no AiiDA daemon is running' in error_of(run_cli('evaluate', fake_potential.pk, bare.pk))


@pytest.mark.parametrize('command', ['train', 'explore', 'evaluate'])
def test_each_command_explains_itself(run_cli, command):
    result = run_cli(command, '--help')
    assert result.exit_code == 0
    assert '--wait' in result.output


def test_explore_hands_over_its_arguments(run_cli, monkeypatch, config_file):
    from aiida_mlip_autopipe.cli import explore  # noqa: PLC0415

    seen = []
    monkeypatch.setattr(explore, 'submit_explore', lambda *arguments: seen.append(arguments))
    path = config_file()
    assert run_cli('explore', '12', path, '--starts', '13', '--wait').exit_code == 0
    assert seen == [('12', path, '13', True)]
