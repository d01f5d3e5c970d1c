import pytest
from aiida import orm

from aiida_mlip_autopipe import __version__
from aiida_mlip_autopipe.cli.root import main
from aiida_mlip_autopipe.common.reasons import Reason

COMMANDS = (
    'validate',
    'generate',
    'import',
    'converge',
    'converge-report',
    'run',
    'run-cycle-02',
    'train',
    'explore',
    'evaluate',
    'properties',
    'status',
    'report',
    'export',
    'setup',
)


def assert_one_error(result, *texts):
    assert result.exit_code == 1
    assert result.output.count('Error: ') == 1
    for text in texts:
        assert text in result.output


def test_the_commands():
    assert set(main.commands) == set(COMMANDS)


@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.parametrize('option', ['-h', '--help'])
def test_every_command_explains_itself(run_cli, command, option):
    result = run_cli(command, option)
    assert result.exit_code == 0
    assert result.output.startswith(f'Usage: main {command}')


def test_the_status_explains_the_reasons(run_cli):
    lines = [line.strip() for line in run_cli('status', '--help').output.splitlines()]
    assert all(f'{reason}: {reason.sentence}' in lines for reason in Reason)


def test_the_group_explains_itself(run_cli):
    result = run_cli('--help')
    assert all(command in result.output for command in COMMANDS)
    assert f'mlip-auto, version {__version__}' in run_cli('--version').output


def test_a_valid_file_is_valid(run_cli, config_file, worker_code):
    path = config_file()
    assert run_cli('validate', path).output == f'{path}: valid\n'


def test_offline_the_profile_is_not_asked(run_cli, config_file):
    path = config_file(worker={'code': 'nowhere@mars'})
    assert run_cli('validate', '--offline', path).exit_code == 0
    assert_one_error(run_cli('validate', path), "worker.code: got 'nowhere@mars'; no such code in this profile")


def test_all_mistakes_of_a_file_are_listed_at_once(run_cli, config_file):
    path = config_file(train={'cutof': 5}, explore={'steps': -1}, loop={'max_round': 2})
    result = run_cli('validate', path)
    assert_one_error(
        result, "train.cutof: unknown key; did you mean 'cutoff'?", 'explore.steps: got -1;', 'loop.max_round: unknown key'
    )
    assert result.output.count(str(path)) == 3


def test_a_missing_file(run_cli, tmp_path):
    assert_one_error(run_cli('validate', tmp_path / 'no.yaml'), 'no.yaml: cannot be read')


def test_a_file_that_is_no_yaml(run_cli, tmp_path):
    path = tmp_path / 'bad.yaml'
    path.write_text('a: [1', encoding='utf-8')
    assert_one_error(run_cli('validate', path), 'not valid YAML')


@pytest.mark.parametrize('command', ['run', 'run-cycle-02'])
def test_a_bad_file_submits_nothing(run_cli, config_file, count_processes, command):
    before = count_processes()
    assert_one_error(run_cli(command, config_file(train={'cutof': 5})), 'train.cutof')
    assert_one_error(run_cli(command, config_file(train={'trainer': 'no.such'})), "train.trainer: got 'no.such'")
    assert count_processes() == before


@pytest.mark.parametrize('arguments', [['run'], ['run', '--one-shot'], ['run', '--wait'], ['run-cycle-02']])
def test_without_a_daemon_nothing_is_submitted(
    run_cli, config_file, worker_code, count_processes, stopped_daemon_client, arguments
):
    before = count_processes()
    result = run_cli(*arguments, config_file())
    assert_one_error(result, 'no AiiDA daemon is running', '`verdi daemon start 2`')
    assert count_processes() == before


@pytest.mark.parametrize('command', [['status'], ['report'], ['export', '--extxyz', 'a.extxyz']])
@pytest.mark.parametrize('identifier', ['999999999', 'no-such-node', '0'])
def test_an_unknown_pk(run_cli, command, identifier):
    name, *options = command
    assert_one_error(run_cli(name, identifier, *options), f"PK: got '{identifier}'")


@pytest.mark.parametrize('command', [['status'], ['report'], ['export', '--extxyz', 'a.extxyz']])
def test_the_pk_of_another_kind_of_node(run_cli, fake_process, command):
    name, *options = command
    data, job = orm.Int(1).store(), fake_process(label='PwCalculation')
    assert_one_error(run_cli(name, data.pk, *options), 'a Int; expected', 'ActiveLearningWorkChain')
    assert_one_error(run_cli(name, job.pk, *options), 'a PwCalculation; expected')


def test_a_missing_argument_is_a_usage_error(run_cli):
    assert run_cli('status').exit_code == 2
