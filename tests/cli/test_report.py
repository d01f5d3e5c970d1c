import pytest
from aiida import orm

from aiida_mlip_autopipe.cli.report import told
from aiida_mlip_autopipe.data.frames import FramesData
from tests.cli.test_root import assert_one_error


@pytest.mark.parametrize('open_round', [False, True])
def test_the_page_of_a_run(run_cli, run_of_rounds, tmp_path, open_round):
    path = tmp_path / 'run.html'
    result = run_cli('report', run_of_rounds(open_round=open_round).pk, '--output', path)
    assert result.exit_code == 0, result.output
    assert result.output == f'written to {path}\n'
    assert path.read_text(encoding='utf-8').startswith('<!DOCTYPE html>')


def test_without_a_name_it_is_report_html(run_cli, run_of_rounds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_cli('report', run_of_rounds().uuid).output == 'written to report.html\n'
    assert (tmp_path / 'report.html').exists()


def test_the_page_of_a_run_that_has_only_begun(run_cli, finished_run, tmp_path):
    node = finished_run(status=440, message='Round 0: training failed', leave_out=['potential', 'report'])
    assert run_cli('report', node.pk, '--output', tmp_path / 'a.html').exit_code == 0
    report = told(node)
    assert report.facts['state'] == 'failed [440]: Round 0: training failed'
    assert report.title == f'Run {node.pk}'
    assert report.rounds == ()


def test_the_facts_of_a_run(finished_run):
    node = finished_run()
    facts = told(node).facts
    assert facts['process'] == f'ActiveLearningWorkChain {node.pk}'
    assert facts['stopped because'] == 'converged'
    assert facts['potential'] == f'PK {node.outputs.potential.pk}'
    assert 'frames' not in facts


@pytest.mark.lammps
def test_the_page_of_one_selection(run_cli, run_stage, emt_frames, tmp_path):
    options = {'budget': orm.Int(3), 'seed': orm.Int(0), 'settings': orm.Dict({})}
    node = run_stage('select', frames=FramesData(emt_frames(8, labelled=False)), **options)
    report = told(node)
    assert not report.is_run
    assert report.title == f'Selection {node.pk}'
    assert report.rounds[0].selection == node.outputs.report.get_dict()
    path = tmp_path / 'one.html'
    assert run_cli('report', node.pk, '--output', path).exit_code == 0
    assert '<td class="text">rattle</td><td class="bold">8</td>' in path.read_text(encoding='utf-8')


@pytest.mark.lammps
def test_the_page_of_a_selection_that_left_nothing(run_cli, run_stage, emt_frames, tmp_path):
    frames = FramesData(emt_frames(4, labelled=False))
    options = {'budget': orm.Int(3), 'seed': orm.Int(0), 'settings': orm.Dict({})}
    node = run_stage('select', frames=frames, known=frames, **options)
    path = tmp_path / 'none.html'
    assert run_cli('report', node.pk, '--output', path).exit_code == 0
    text = path.read_text(encoding='utf-8')
    assert 'failed [420]: None of 4 candidates was selected' in text
    assert 'already labelled' in text


def test_a_folder_that_is_not_there(run_cli, run_of_rounds, tmp_path):
    result = run_cli('report', run_of_rounds().pk, '--output', tmp_path / 'no' / 'a.html')
    assert_one_error(result, '--output: got ', 'does not exist')
