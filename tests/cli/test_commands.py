import pytest
from aiida import orm
from aiida.engine import ProcessState

from aiida_mlip_autopipe.cli import nodes
from aiida_mlip_autopipe.cli.nodes import failure_of, load_run
from aiida_mlip_autopipe.common.errors import InputError


@pytest.fixture
def submitted(monkeypatch, daemon, fake_process, worker_code):
    """Take what would be submitted, with a daemon that says that it runs."""
    calls = []

    def submit(builder):
        name = builder.process_class.__name__
        calls.append((name, builder._inputs(prune=True)))
        report = orm.Dict({'stop_reason': 'converged', 'labels_total': 3})
        return fake_process(orm.WorkChainNode, label=name, outputs={'report': report}, **outcome)

    outcome = {}
    monkeypatch.setattr(nodes, 'submit', submit)
    return calls, outcome


@pytest.mark.parametrize(
    ('arguments', 'chain'),
    [(['run'], 'ActiveLearningWorkChain'), (['run', '--one-shot'], 'OneShotWorkChain'), (['run-cycle-02'], 'OneShotWorkChain')],
)
def test_run_submits_the_chain_with_its_name(run_cli, config_file, submitted, full_config, arguments, chain):
    calls, _ = submitted
    path = config_file()
    result = run_cli(*arguments, path)
    assert result.exit_code == 0, result.output
    ((name, inputs),) = calls
    assert name == chain
    assert inputs['config'].get_dict() == full_config()
    assert set(inputs['codes']) == {'worker', 'label', 'train'} | ({'explore'} if chain.startswith('Active') else set())
    assert inputs['metadata']['label'] == 'test'
    assert str(path) in inputs['metadata']['description']
    assert f'submitted {chain} with PK ' in result.output
    assert 'mlip-auto status' in result.output


@pytest.mark.parametrize('command', ['run', 'run-cycle-02'])
def test_waiting_ends_with_a_summary(run_cli, config_file, worker_code, submitted, command):
    result = run_cli(command, '--wait', config_file())
    assert result.exit_code == 0
    assert 'stopped because: converged' in result.output


def test_waiting_for_a_run_that_fails_is_an_error(run_cli, config_file, worker_code, submitted):
    submitted[1].update(status=430, message='Round 0: labelling failed')
    result = run_cli('run', '--wait', config_file())
    assert result.exit_code == 1
    assert result.output.count('Error: ') == 1
    assert 'did not end well: Round 0: labelling failed (verdi process report' in result.output


def test_status_of_a_run(run_cli, finished_run):
    node = finished_run()
    result = run_cli('status', node.pk)
    assert result.exit_code == 0
    assert result.output.startswith(f'run {node.pk} (ActiveLearningWorkChain): finished\n')


def test_a_run_is_found_by_pk_and_uuid(finished_run):
    node = finished_run()
    assert load_run(str(node.pk)).pk == load_run(node.uuid).pk == node.pk


def test_what_is_no_run_is_refused(aiida_profile):
    with pytest.raises(InputError, match='a Int; expected'):
        load_run(str(orm.Int(1).store().pk))


def test_why_a_process_failed(fake_process):
    assert failure_of(fake_process(status=1, message='because')) == 'because'
    assert failure_of(fake_process(state=ProcessState.KILLED)) == 'killed'


def test_the_status_shows_the_funnel_of_a_round_that_is_not_closed(run_cli, run_of_rounds):
    lines = run_cli('status', run_of_rounds(open_round=True).pk).output.splitlines()
    start = lines.index('round 2, not closed')
    assert lines[start + 1] == '  select    31 generated -> 31 sane -> 24 unique -> 24 inside -> 12 selected'
    assert lines[start + 2] == '            not: 7 already_labelled, 12 not_selected'
    assert sum(line.startswith('round ') for line in lines) == 3
    assert not any('not closed' in line for line in run_cli('status', run_of_rounds().pk).output.splitlines())
