"""What the commands share about nodes: found by PK or uuid, of the right kind; submitted and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.engine import Process, ProcessBuilder, submit
from aiida.engine.daemon.client import get_daemon_client

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain
from aiida_mlip_autopipe.workflows.one_shot import OneShotWorkChain

POLL_SECONDS = 2.0
RUNS = (OneShotWorkChain.__name__, ActiveLearningWorkChain.__name__)
WATCH = 'watch it with: verdi process status {pk}'

Lines = Callable[[Any], Iterable[str]]
"""What there is to say of a process, line by line."""

Node = TypeVar('Node', bound=orm.Node)


def load_typed(identifier: str, kind: type[Node], name: str) -> Node:
    """Return the node of an identifier.

    :param name: of the argument, for the message.
    :raises InputError: there is no such node, or it is of another type.
    """
    node = _load(identifier, name, 'verdi node show PK')
    if not isinstance(node, kind):
        raise InputError(f'{name}: got {identifier!r}, a {type(node).__name__}; expected a {kind.__name__}')
    return node


def load_potential(identifier: str) -> PotentialData:
    """Return the potential of an identifier, which may also be that of a process with the output `potential`.

    :raises InputError: there is no such node, or it is neither.
    """
    node: orm.Node = load_typed(identifier, orm.Node, 'POTENTIAL_PK')
    if isinstance(node, orm.ProcessNode):
        if 'potential' not in node.outputs:
            raise InputError(f'POTENTIAL_PK: got {identifier!r}, a {node.process_label} without a potential among its outputs')
        node = node.outputs.potential
    if not isinstance(node, PotentialData):
        raise InputError(f'POTENTIAL_PK: got {identifier!r}, a {type(node).__name__}; expected a PotentialData')
    return node


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
    node = _load(identifier, 'PK', 'verdi process list -a')
    found = getattr(node, 'process_label', None)
    if found not in names:
        raise InputError(f'PK: got {identifier!r}, a {found or type(node).__name__}; expected a {" or ".join(names)}')
    return node


def require_daemon() -> None:
    """Check that submitted processes will run.

    :raises InputError: no daemon is running.
    """
    if not get_daemon_client().is_daemon_running:
        raise InputError('no AiiDA daemon is running, so nothing would happen: start it with `verdi daemon start 2`')


def submitted(process: type[Process] | ProcessBuilder, *, then: str = WATCH, **inputs: Any) -> orm.ProcessNode:
    """Return the node of a process that was handed to the daemon, and say so.

    :param process: or its builder, with all its inputs.
    :param then: what the user can do now.
    """
    node = submit(process, **inputs)
    name = (process.process_class if isinstance(process, ProcessBuilder) else process).__name__
    click.echo(f'submitted {name} with PK {node.pk}; {then.format(pk=node.pk)}')
    return node


def wait_for_end(node: orm.ProcessNode, *, meanwhile: Lines = lambda node: ()) -> None:
    """Return when a process has ended in any way, and print on the way what `meanwhile` says of it."""
    while not node.is_terminated:
        time.sleep(POLL_SECONDS)
        tell(meanwhile(node))


def tell_end(node: orm.ProcessNode, lines: Lines, *, meanwhile: Lines = lambda node: ()) -> None:
    """Wait for the end of a process, and print what there is to say of it.

    :param meanwhile: what has come to it since it was last asked.
    :raises InputError: it did not end well; the message names its cause.
    """
    wait_for_end(node, meanwhile=meanwhile)
    tell(meanwhile(node))
    tell(lines(node))
    if not node.is_finished_ok:
        raise InputError(f'{node.process_label} {node.pk} did not end well: {failure_of(node)} (verdi process report {node.pk})')


def tell(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)


def failure_of(node: orm.ProcessNode) -> str:
    """Return one sentence on why a process did not end well."""
    return str(node.exit_message or node.exception or node.process_state.value)


def _load(identifier: str, name: str, where: str) -> orm.Node:
    try:
        return orm.load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise InputError(f'{name}: got {identifier!r}; no single node has it ({where}): {error}') from error
