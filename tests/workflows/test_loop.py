"""The whole loop through a real daemon, with EMT in place of Quantum ESPRESSO."""

import json
import re
import runpy
import sys
import time
from pathlib import Path

import ase.db
import numpy as np
import pytest
import yaml
from aiida import orm

from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.formats.extxyz import read_extxyz
from tests.benchmarks import loop

pytestmark = [pytest.mark.daemon, pytest.mark.lammps]

TIMEOUT = 800
EXAMPLES = Path(__file__).parents[2] / 'examples'
PROCESSES = {
    'GenerateCalculation',
    'SelectCalculation',
    'LabelAseCalculation',
    'TrainWorkChain',
    'PodCalculation',
    'EvaluateCalculation',
    'ExploreWorkChain',
    'LammpsMdCalculation',
}
EXPLORE = {'starts': 2, 'temperatures': [1200], 'steps': 200, 'gamma_select': 1.0, 'gamma_halt': 50.0, 'max_candidates': 10}


@pytest.fixture(scope='module')
def config(full_config):
    return full_config(explore=EXPLORE)


@pytest.fixture(scope='module')
def run(request, config, worker_code, tmp_path_factory):
    """Run the loop once, submitted by the example; the fixtures of AiiDA for the daemon are made for single tests."""
    client = request.getfixturevalue('daemon_client')
    if not client.is_daemon_running:
        client.start_daemon()
    path = tmp_path_factory.mktemp('loop') / 'config.yaml'
    path.write_text(yaml.safe_dump(config), encoding='utf-8')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['run_active_learning.py', str(path)])
        node = runpy.run_path(str(EXAMPLES / 'almg' / 'run_active_learning.py'))['node']
    wait_for(node)
    return node


def n_md(entry):
    """Return how many frames of MD a round bought for the test set."""
    return sum(one['n_frames'] for one in entry['test_md']['temperatures'])


def wait_for(node):
    end = time.monotonic() + TIMEOUT
    while not node.is_terminated and time.monotonic() < end:
        time.sleep(0.5)
    assert node.is_terminated, f'still {node.process_state} after {TIMEOUT} s'


def test_it_ends_well_with_every_output(run):
    assert run.is_finished_ok, run.exit_message or run.exception
    assert {'potential', 'frames', 'train_frames', 'test_frames', 'references', 'report'} <= set(run.outputs)


def test_the_report_has_two_rounds_whose_funnels_add_up(run, config):
    report = run.outputs.report.get_dict()
    *rounds, exam = report['rounds']
    assert [entry['round'] for entry in rounds] == [0, 1]
    assert (exam['round'], exam['labels_bought'], exam['test_errors'], exam['funnel']) == (2, 0, None, None)
    assert exam['explore']['n_trajectories'] == 2, 'the last potential is examined, too'
    assert report['stop_reason'] == report['verdict']['reason'] == 'budget_exhausted'
    assert report['verdict']['sentence'].startswith('The budget loop.max_rounds is spent (2 fits, ')
    for entry in rounds:
        funnel = entry['funnel']
        assert funnel['generated'] >= funnel['sane'] >= funnel['unique'] >= funnel['selected'] > 0
        besides = 2 + config['loop']['test_labels'] if entry['round'] == 0 else n_md(entry)
        assert entry['labels_bought'] == funnel['selected'] + besides
        errors = entry['test_errors']
        assert errors['force_interval'][0] <= errors['force_rmse'] <= errors['force_interval'][1]
        assert {'sqs', 'strain', 'rattle', 'vacancy'} <= set(entry['test_groups']['config_type'])
        assert set(entry['test_groups']['composition']) >= {'Cu', 'AuCu', 'Au'}
        assert 'fewer than 20: its error is a guess' in entry['test_caution']
    assert rounds[0]['explore'] is None
    assert rounds[1]['explore']['n_candidates'] == rounds[1]['funnel']['generated']
    assert rounds[0]['acquisition'] is None
    assert rounds[1]['acquisition']['n_frames'] == len(run.outputs.train_frames) - rounds[0]['n_train']


def test_the_page_tells_every_round_with_its_reasons(run, run_cli, tmp_path):
    path = tmp_path / 'run.html'
    assert run_cli('report', run.pk, '--output', path).exit_code == 0
    text = path.read_text(encoding='utf-8')
    assert text.count('<h2>Round ') == 3
    assert 'not closed' not in text
    assert 'The budget loop.max_rounds is spent' in text
    for entry in run.outputs.report['rounds'][:2]:
        left_out = sum(sum(reasons.values()) for reasons in entry['funnel_reasons'].values())
        assert left_out == entry['funnel']['generated'] - entry['funnel']['selected']
        assert f'{entry["labels_bought"]} bought, {entry["labels_failed"]} failed' in text


def test_the_budget_is_kept(run, config):
    report = run.outputs.report.get_dict()
    assert report['labels_total'] == sum(entry['labels_bought'] for entry in report['rounds'])
    assert report['labels_total'] <= config['loop']['max_labels']
    assert report['rounds'][1]['labels_bought'] <= config['loop']['labels_per_round'] + config['loop']['test_md_labels']
    failed = sum(entry['labels_failed'] for entry in report['rounds'])
    assert len(run.outputs.frames) == report['labels_total'] - failed


def test_no_lineage_is_on_both_sides_and_the_test_set_is_frozen(run):
    train, test = run.outputs.train_frames.frames, run.outputs.test_frames.frames
    assert not set(train.lineage.tolist()) & set(test.lineage.tolist())
    assert set(train.round.tolist()) == {0, 1}
    fits = sorted((node for node in run.called if node.process_label == 'TrainWorkChain'), key=lambda node: node.pk)
    assert len(fits) == 2
    first, last = (fit.inputs.test_frames.frames for fit in fits)
    assert last.uid.tolist()[: len(first)] == first.uid.tolist(), 'what is in stays in'
    for fit in fits:
        sides = [set(fit.inputs[name].frames.lineage.tolist()) for name in ('train_frames', 'test_frames')]
        assert not sides[0] & sides[1]


def test_round_1_adds_md_of_test_lineages(run, config):
    test = run.outputs.test_frames.frames
    md = test.take(np.flatnonzero(test.config_type == 'md'))
    assert len(md) == config['loop']['test_md_labels']
    assert set(md.round.tolist()) == {1}
    assert {json.loads(text)['temperature'] for text in md.origin.tolist()} == {1200.0}
    train = set(run.outputs.train_frames.frames.lineage.tolist())
    starts = {
        lineage
        for node in run.called_descendants
        if node.process_label == 'LammpsMdCalculation' and node.caller.uuid == run.uuid
        for lineage in node.inputs.starts.frames.lineage.tolist()
    }
    assert starts
    assert not starts & train


def test_training_md_starts_from_no_test_lineage(run):
    test = set(run.outputs.test_frames.frames.lineage.tolist())
    chains = [node for node in run.called if node.process_label == 'ExploreWorkChain']
    assert chains
    assert not {lineage for node in chains for lineage in node.inputs.starts.frames.lineage.tolist()} & test


def test_no_structure_is_bought_twice(run):
    uids = run.outputs.frames.frames.uid.tolist()
    assert len(uids) == len(set(uids))


def test_every_label_leads_to_its_calculation(run):
    frames = run.outputs.frames.frames
    assert frames.labelled.all()
    assert len(set(frames.fingerprint.tolist())) == 1
    for uuid in set(frames.label_uuid.tolist()):
        assert orm.load_node(uuid).process_label == 'LabelAseCalculation'


def test_the_stages_are_among_the_descendants(run):
    assert {node.process_label for node in run.called_descendants} >= PROCESSES


def test_status_tells_the_rounds(run, run_cli):
    result = run_cli('status', run.pk)
    assert result.exit_code == 0
    for text in (
        'round 0',
        'round 1',
        'stopped because: budget_exhausted',
        '(ActiveLearningWorkChain): finished',
        'potential: PK',
    ):
        assert text in result.output


def test_export_writes_everything_once(run, run_cli, tmp_path):
    arguments = ['--db', tmp_path / 'f.db', '--extxyz', tmp_path / 'f.extxyz', '--potential', tmp_path / 'potential']
    n_frames = len(run.outputs.frames)
    first, second = (run_cli('export', run.uuid, *arguments) for _ in range(2))
    assert first.exit_code == second.exit_code == 0
    assert f'{n_frames} added, 0 present already' in first.output
    assert f'0 added, {n_frames} present already' in second.output
    with ase.db.connect(tmp_path / 'f.db') as database:
        assert database.count() == n_frames
        assert database.count(split='test') == len(run.outputs.test_frames)
    assert set(read_extxyz(tmp_path / 'f.extxyz').uid.tolist()) == set(run.outputs.frames.frames.uid.tolist())
    text = (tmp_path / 'potential' / 'in.potential').read_text(encoding='utf-8')
    assert re.search(r'^mass 1 63\.5\d+\nmass 2 196\.\d+\npair_style ', text)
    for name in run.outputs.potential.base.repository.list_object_names():
        assert (tmp_path / 'potential' / name).is_file()


def test_the_potential_holds_a_crystal_together(run, config):
    demo = runpy.run_path(str(EXAMPLES / 'demo.py'))
    atoms = demo['random_alloy'](MLIPConfig.from_mapping(config))
    assert len(atoms) == 108
    told = demo['run_md'](run.outputs.potential, atoms, MLIPConfig.from_mapping(config))
    assert '1000 steps of NVT at 300 K on 108 atoms' in told
    assert 'by SimulateCalculation (process' in told  # without a section properties there is no code of lmp


def test_the_benchmark_of_the_loop_judges_its_rounds(run, capsys):
    loop.main(['--quick', '--runs', str(run.pk)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split('|')[2].strip() for line in lines if f' {run.pk} (budget_exhausted) ' in line] == ['0', '1']
    figure = json.loads(lines[-1])
    assert figure['figure'] == 'training error of a round / that of the smallest ridge, worst'
    assert figure['value'] > 0


def test_the_demo_says_what_a_grade_means(config):
    """The limits of this run are 1 and 50."""
    grade, settings = runpy.run_path(str(EXAMPLES / 'demo.py'))['_grade'], MLIPConfig.from_mapping(config)
    assert grade(1.0, settings) == '1.00 (gamma_select is 1, so this cell is known)'
    assert grade(50.0, settings) == '50.00 (gamma_halt is 50, so this cell is new but near to known ones)'
    assert 'THIS CELL IS NOT KNOWN' in grade(50.1, settings)
