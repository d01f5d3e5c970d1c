import pytest
import yaml
from aiida import orm
from aiida.engine import ProcessState
from matplotlib.image import imread

from aiida_mlip_autopipe.cli import nodes
from aiida_mlip_autopipe.common.units import GPA

LABEL = {
    'labeller': 'mlip_autopipe.label',
    'pseudo_family': 'mlip-demo-lda',
    'cutoff_wfc': 20,
    'kpoints_distance': 0.4,
    'calculator': None,
}
SYSTEM = {
    'elements': ['Al', 'Mg'],
    'lattice_parameters': {'Al': 3.95, 'Mg': 4.4},
    'compositions': [{'Al': 1.0}, {'Al': 0.5, 'Mg': 0.5}, {'Mg': 1.0}],
}
SERIES = {'cutoffs_wfc': [15, 30], 'kpoints_distances': [0.6, 0.2]}


def row(value, error, n_same):
    columns = ('energy_worst', 'energy_mean', 'relative_worst', 'relative_mean', 'force_worst', 'force_mean')
    stresses = ('stress_worst', 'stress_mean', 'pressure_mean')
    return {
        'value': value,
        **dict.fromkeys(columns, error),
        **dict.fromkeys(stresses, error * GPA),
        'roughness': 2 * error * GPA,
        'n_same_meshes': n_same,
    }


def report(**values):
    """Return the report of a study in which cutoffs converged at 20 Ry and k-points nowhere."""
    points = [(15, 0.4), (20, 0.4), (30, 0.4), (20, 0.6), (20, 0.2)]
    common = {'predicted_cost': 1.5, 'actual_cost': None, 'meshes': [], 'n_labelled': 3, 'seconds': 2.0}
    return {
        'n_calculations': 15,
        'n_settings': 5,
        'seconds': 10.4,
        'targets': {'energy': 0.001, 'force': 0.01, 'stress': 0.1 * GPA},
        'configured': {'cutoff_wfc': 20, 'cutoff_rho': None, 'kpoints_distance': 0.4},
        'structures': [],
        'settings': [{'cutoff_wfc': c, 'cutoff_rho': None, 'kpoints_distance': k, **common} for c, k in points],
        'series': {
            'cutoff_wfc': {
                'rows': [row(15, 0.0125, 3), row(20, 0.0005, 3), row(30, 0.0, 3)],
                'frames': [0, 1, 2],
                'proposal': 20,
                'verdict': 'converged from 20 on, against 30',
                'unit': 'Ry',
            },
            'kpoints_distance': {
                'rows': [row(0.6, 0.5, 0), row(0.4, 0.05, 1), row(0.2, 0.0, 3)],
                'frames': [0, 1, 2],
                'proposal': None,
                'verdict': 'not converged: too far apart',
                'unit': '1/Å',
            },
        },
        'skipped': [{'value': 0.41, 'same_as': 0.4}],
        'left_out': [{'cutoff_wfc': 15, 'kpoints_distance': 0.4, 'index': 2, 'uid': 'abc', 'reason': 'scf_not_converged'}],
        **values,
    }


@pytest.fixture
def path(config_file):
    """Return a factory of configurations for Quantum ESPRESSO; a keyword updates the section of its name."""

    def make(**sections):
        label = {**LABEL, **sections.pop('label', {})}
        made = config_file(system=SYSTEM, converge=sections.pop('converge', SERIES), **sections)
        values = yaml.safe_load(made.read_text(encoding='utf-8'))
        values['label'] = {name: value for name, value in label.items() if value is not None}
        made.write_text(yaml.safe_dump(values), encoding='utf-8')
        return made

    return make


@pytest.fixture
def submitted(monkeypatch, daemon, fake_process):
    class Record(list):
        answer = {}

    record = Record()

    def submit(process, **inputs):
        ports = process.spec().inputs
        problem = ports.validate(ports.pre_process(dict(inputs)))
        assert problem is None, problem
        record.append((process.__name__, inputs))
        return fake_process(orm.WorkChainNode, label=process.__name__, **record.answer)

    monkeypatch.setattr(nodes, 'submit', submit)
    return record


@pytest.fixture
def profile(pw_code, worker_code, lda_family):
    """Codes and pseudopotentials that the configuration names."""


@pytest.fixture
def study(fake_process):
    """Return a factory of finished studies."""

    def make(content=None, **details):
        inputs = {'converge': orm.Dict(SERIES)}
        outputs = {'report': orm.Dict(content or report())}
        return fake_process(orm.WorkChainNode, label='ConvergeWorkChain', inputs=inputs, outputs=outputs, **details)

    return make


def error_of(result):
    assert result.exit_code == 1, result.output
    return ' '.join(result.output.split())


@pytest.mark.usefixtures('profile')
class TestSubmit:
    def test_what_is_submitted(self, run_cli, path, submitted):
        result = run_cli('converge', path(), '--target-energy', 3, '--target-force', 30)
        assert result.exit_code == 0, result.output
        ((name, inputs),) = submitted
        assert name == 'ConvergeWorkChain'
        assert inputs['settings']['cutoff_wfc'] == 20
        assert inputs['converge']['cutoffs_wfc'] == [15, 30]
        assert (inputs['converge']['target_energy'], inputs['converge']['target_force']) == (3, 30)
        assert inputs['frames'].frames.config_type.tolist() == ['sqs', 'sqs', 'sqs', 'strain', 'rattle', *['strain_series'] * 4]
        assert inputs['frames'].creator.process_label == 'make_study_frames'
        assert 'its report: mlip-auto converge-report ' in result.output

    def test_waiting_prints_and_plots(self, run_cli, path, submitted, tmp_path):
        submitted.answer = {'outputs': {'report': orm.Dict(report())}}
        result = run_cli('converge', path(), '--wait', '--plot', tmp_path / 'study.png')
        assert result.exit_code == 0, result.output
        assert '  cutoff_wfc: 20 # Ry' in result.output.splitlines()
        assert imread(tmp_path / 'study.png').std() > 0.05

    def test_waiting_for_a_study_without_proposal_prints_it_and_fails(self, run_cli, path, submitted):
        submitted.answer = {'outputs': {'report': orm.Dict(report())}, 'status': 510, 'message': 'there is no proposal: x'}
        result = run_cli('converge', path(), '--wait')
        assert 'did not end well: there is no proposal: x' in error_of(result)
        assert '  # kpoints_distance: not converged: too far apart' in result.output.splitlines()

    def test_dry_run(self, run_cli, path, submitted, count_processes):
        before = count_processes()
        result = run_cli('converge', path(converge={**SERIES, 'strain_series': False}), '--dry-run')
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert sum(line.startswith('structure ') for line in lines) == 5
        assert sum(line.startswith('cutoff_wfc ') for line in lines) == 5
        assert '5 settings x 5 structures = 25 calculations' in lines[-1]
        assert (count_processes(), submitted) == (before, [])


@pytest.mark.usefixtures('profile')
class TestRefused:
    @pytest.mark.parametrize(
        ('sections', 'said'),
        [
            ({'converge': {'cutoffs_wfc': [20]}}, 'converge.cutoffs_wfc: got [20];'),
            ({'converge': {'cutoffs_wfc': [0, 20]}}, 'converge.cutoffs_wfc.0: got 0;'),
            ({'converge': {'kpoints_distances': [0, 0.2]}}, 'converge.kpoints_distances.0: got 0;'),
            ({'label': {'code': 'no@where'}}, "label.code: got 'no@where'; no such code"),
            ({'label': {'pseudo_family': 'nowhere'}}, "label.pseudo_family: got 'nowhere'; installed families: "),
            ({'worker': {'code': 'no@where'}}, "worker.code: got 'no@where'; no such code"),
        ],
    )
    def test_a_mistake_in_the_file(self, run_cli, path, submitted, sections, said):
        assert said in error_of(run_cli('converge', path(**sections)))
        assert submitted == []

    def test_another_labeller(self, run_cli, config_file, submitted):
        for arguments in ([], ['--dry-run']):
            message = error_of(run_cli('converge', config_file(), *arguments))
            assert "label.labeller: got 'mlip_autopipe.label_ase'; a convergence study is for pw.x" in message
        assert submitted == []

    def test_a_target_of_zero(self, run_cli, path, submitted):
        message = error_of(run_cli('converge', path(), '--target-energy', 0))
        assert 'target_energy: got 0.0; input should be greater than 0 (meV/atom' in message

    def test_a_plot_without_waiting(self, run_cli, path, submitted):
        assert '--plot: there is nothing to plot before the end' in error_of(run_cli('converge', path(), '--plot', 'a.png'))

    def test_a_plot_of_an_unknown_kind_or_nowhere(self, run_cli, path, submitted, tmp_path):
        message = error_of(run_cli('converge', path(), '--wait', '--plot', 'a.docx'))
        assert "--plot: got 'a.docx'; the name must end with one of .png, .svg, .pdf" in message
        assert 'does not exist' in error_of(run_cli('converge', path(), '--wait', '--plot', tmp_path / 'no' / 'a.png'))
        assert submitted == []

    def test_no_daemon(self, run_cli, path, daemon, count_processes):
        daemon.is_daemon_running = False
        before = count_processes()
        assert 'no AiiDA daemon is running' in error_of(run_cli('converge', path()))
        assert count_processes() == before


class TestReport:
    def test_tables_and_proposal(self, run_cli, study):
        result = run_cli('converge-report', study().pk)
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert 'cutoff of the wave functions (Ry), at k-point distance 0.4/Å' in lines
        (loosest,) = [line.split() for line in lines if line.startswith('       15 ')]
        assert loosest == ['15', *['12.500'] * 4, *['12.50'] * 2, *['0.013'] * 2, '0.013', '0.025', '3', '1.50', 'unknown']
        assert '  converged from 20 on, against 30' in lines
        assert 'kpoints_distance 0.41/Å gives all structures the meshes of 0.4/Å: calculated once' in lines
        assert 'left out: structure 2 at cutoff_wfc 15 Ry, kpoints_distance 0.4/Å: scf_not_converged' in lines
        assert 'targets: energy differences 1 meV/atom, forces 10 meV/Å, stress 0.1 GPa' in lines
        assert '15 calculations, 10 s of pw.x' in lines
        assert lines[-3:] == ['label:', '  cutoff_wfc: 20 # Ry', '  # kpoints_distance: not converged: too far apart']

    def test_other_targets(self, run_cli, study):
        asked = ['--target-energy', 60, '--target-force', 60, '--target-stress', 0.2]
        result = run_cli('converge-report', study().uuid, *asked)
        assert '  kpoints_distance: 0.4 # 1/Å' in result.output.splitlines()
        assert 'targets: energy differences 60 meV/atom, forces 60 meV/Å, stress 0.2 GPa' in result.output

    def test_the_charge_cutoff_goes_along(self, run_cli, study):
        content = report()
        for entry in content['settings']:
            entry['cutoff_rho'] = 8 * entry['cutoff_wfc']
        assert '  cutoff_rho: 160 # Ry' in run_cli('converge-report', study(content).pk).output.splitlines()

    @pytest.mark.parametrize('suffix', ['png', 'svg', 'pdf'])
    def test_plot(self, run_cli, study, tmp_path, suffix):
        path = tmp_path / f'study.{suffix}'
        assert run_cli('converge-report', study().pk, '--plot', path).output.endswith(f'plotted to {path}\n')
        assert path.stat().st_size > 1000

    def test_a_series_without_rows_and_a_stress_that_is_not_judged(self, run_cli, study, tmp_path):
        content = report(targets={'energy': 0.001, 'force': 0.01, 'stress': None})
        content['series']['kpoints_distance'].update(rows=[], verdict='nothing to compare: 1 settings')
        node = study(content)
        result = run_cli('converge-report', node.pk, '--plot', tmp_path / 'a.png')
        assert result.exit_code == 0, result.output
        assert '  # kpoints_distance: nothing to compare: 1 settings' in result.output.splitlines()

    def test_what_is_no_study(self, run_cli, fake_process):
        other = fake_process(orm.WorkChainNode, label='TrainWorkChain')
        assert f"PK: got '{other.pk}', a TrainWorkChain; expected a ConvergeWorkChain" in error_of(
            run_cli('converge-report', other.pk)
        )
        assert "PK: got '999999'; no single node has it" in error_of(run_cli('converge-report', 999999))

    def test_a_study_that_has_not_ended(self, run_cli, fake_process):
        node = fake_process(orm.WorkChainNode, label='ConvergeWorkChain', state=ProcessState.WAITING)
        assert f'the study {node.pk} has no report; it is waiting' in error_of(run_cli('converge-report', node.pk))
