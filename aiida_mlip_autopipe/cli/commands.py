"""What the commands run and status do."""

from __future__ import annotations

import time
from pathlib import Path

import click
from aiida import orm
from aiida.engine import submit

from aiida_mlip_autopipe.cli.generate import check_generation
from aiida_mlip_autopipe.cli.nodes import POLL_SECONDS, failure_of, load_run, require_daemon
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.cli.rounds import rounds_of
from aiida_mlip_autopipe.cli.summary import funnel_lines, round_entries, round_lines, state_lines
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain
from aiida_mlip_autopipe.workflows.one_shot import OneShotWorkChain


def submit_run(path: Path, *, one_shot: bool, wait: bool) -> orm.WorkChainNode:
    """Submit a run after everything it needs was found, wait for its end where asked, and return its node.

    :raises InputError: a mistake in the file, something missing in the profile, or no daemon; nothing is submitted then.
    """
    config = MLIPConfig.from_yaml(path)
    load_profile()
    chain = OneShotWorkChain if one_shot else ActiveLearningWorkChain
    check_generation(config)
    builder = chain.get_builder_from_config(config)
    require_daemon()
    builder.metadata.description = f'{config.name} from {path.resolve()}'
    node = submit(builder)
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


def _echo_new_rounds(node: orm.WorkChainNode, seen: int) -> int:
    entries = round_entries(node)
    for entry in entries[seen:]:
        for line in round_lines(entry):
            click.echo(line)
    return len(entries)
