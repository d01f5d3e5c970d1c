"""What the commands run and status do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from aiida import orm

from aiida_mlip_autopipe.cli.generate import check_generation
from aiida_mlip_autopipe.cli.nodes import WATCH, load_run, require_daemon, submitted, tell, tell_end
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.cli.rounds import rounds_of
from aiida_mlip_autopipe.cli.summary import funnel_lines, round_entries, round_lines, state_lines
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
    node = submitted(builder, then=f'{WATCH}   or: mlip-auto status {{pk}}')
    if wait:
        tell_end(node, state_lines, meanwhile=_NewRounds().lines)
    return node


def show_status(identifier: str) -> None:
    """Print the rounds of a run so far and its state."""
    load_profile()
    node = load_run(identifier)
    tell(_NewRounds().lines(node))
    for one in rounds_of(node):
        if one.entry is None and (found := one.selection) is not None:
            click.echo(f'round {one.number}, not closed')
            tell(funnel_lines(found['counts'], found['by_config_type'], found['reasons_by_config_type']))
    tell(state_lines(node))


class _NewRounds:
    """The rounds of a run that were not told yet."""

    def __init__(self) -> None:
        self._seen = 0

    def lines(self, node: orm.WorkChainNode) -> Iterator[str]:
        """Yield their lines, each once."""
        entries = round_entries(node)[self._seen :]
        self._seen += len(entries)
        for entry in entries:
            yield from round_lines(entry)
