"""What the commands run and status do."""

from __future__ import annotations

import time
from pathlib import Path

import click
from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.engine import submit
from aiida.engine.daemon.client import get_daemon_client

from aiida_mlip_autopipe.cli.generate import check_generation
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.cli.rounds import rounds_of
from aiida_mlip_autopipe.cli.summary import funnel_lines, round_entries, round_lines, state_lines
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain
from aiida_mlip_autopipe.workflows.checks import check_profile
from aiida_mlip_autopipe.workflows.one_shot import OneShotWorkChain

POLL_SECONDS = 2.0
RUNS = (OneShotWorkChain.__name__, ActiveLearningWorkChain.__name__)


def submit_run(path: Path, *, one_shot: bool, wait: bool) -> orm.WorkChainNode:
    """Submit a run after everything it needs was found, wait for its end where asked, and return its node.

    :raises InputError: a mistake in the file, something missing in the profile, or no daemon; nothing is submitted then.
    """
    config = MLIPConfig.from_yaml(path)
    load_profile()
    check_profile(config, explores=not one_shot)
    check_generation(config)
    if not get_daemon_client().is_daemon_running:
        raise InputError('no AiiDA daemon is running, so nothing would happen: start it with `verdi daemon start 2`')
    chain = OneShotWorkChain if one_shot else ActiveLearningWorkChain
    metadata = {'label': config.name, 'description': f'{config.name} from {path.resolve()}'}
    node = submit(chain, config=orm.Dict(config.to_mapping()), metadata=metadata)
    click.echo(f'submitted {chain.__name__} with PK {node.pk}')
    click.echo(f'watch it with: verdi process status {node.pk}   or: mlip-auto status {node.pk}')
    if wait:
        _wait_for(node)
    return node


def show_status(identifier: str) -> None:
    """Print the rounds of a run so far and its state."""
    load_profile()
    node = load_run(identifier)
    _echo_new_rounds(node, 0)
    for one in rounds_of(node):
        if one.entry is None and (found := one.selection) is not None:
            click.echo(f'round {one.number}, not closed')
            for line in funnel_lines(found['counts'], found['by_config_type'], found['reasons_by_config_type']):
                click.echo(line)
    for line in state_lines(node):
        click.echo(line)


def load_run(identifier: str) -> orm.WorkChainNode:
    """Return the process node of a run.

    :raises InputError: there is none, or it is no run of this package.
    """
    return load_process(identifier, RUNS)


def load_process(identifier: str, names: tuple[str, ...]) -> orm.ProcessNode:
    """Return the node of a process.

    :param names: labels of the processes that it may be.
    :raises InputError: there is none, or it is another kind of node.
    """
    try:
        node = orm.load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise InputError(f'PK: got {identifier!r}; no single node has it (verdi process list -a): {error}') from error
    if getattr(node, 'process_label', None) not in names:
        raise InputError(
            f'PK: got {identifier!r}, a {getattr(node, "process_label", None) or type(node).__name__}; expected {names}'
        )
    return node


def _wait_for(node: orm.WorkChainNode) -> None:
    seen = 0
    while not node.is_terminated:
        time.sleep(POLL_SECONDS)
        seen = _echo_new_rounds(node, seen)
    _echo_new_rounds(node, seen)
    for line in state_lines(node):
        click.echo(line)
    if not node.is_finished_ok:
        raise InputError(f'the run {node.pk} did not end well: {failure_of(node)} (verdi process report {node.pk})')


def failure_of(node: orm.ProcessNode) -> str:
    """Return one sentence on why a process did not end well."""
    return str(node.exit_message or node.exception or node.process_state.value)


def _echo_new_rounds(node: orm.WorkChainNode, seen: int) -> int:
    entries = round_entries(node)
    for entry in entries[seen:]:
        for line in round_lines(entry):
            click.echo(line)
    return len(entries)
