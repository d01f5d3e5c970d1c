"""The rounds of a run as its calls tell them, also while it goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiida import orm
from aiida.common.links import LinkType

from aiida_mlip_autopipe.cli.summary import round_entries
from aiida_mlip_autopipe.common.reports import RoundEntry

CALLS: Final = ('generate', 'generate_test', 'explore', 'select', 'label', 'train', 'acquisition')
CALL_LINK: Final = re.compile(rf'({"|".join(CALLS)})_(\d+)')
"""Label of the link by which a run calls a stage, with the number of the round."""


@dataclass(frozen=True)
class Stage:
    """A process that a round called: what it does, its PK, and how far it is."""

    name: str
    pk: int
    state: str


@dataclass(frozen=True)
class Round:
    """What there is of one round.

    :param stages: in the order in which they are called.
    :param selection: report of the selection, or None before it has ended.
    :param entry: what `summarize_round` returned, or None before the round was closed.
    """

    number: int
    stages: tuple[Stage, ...]
    selection: Mapping[str, Any] | None
    entry: RoundEntry | None


def rounds_of(node: orm.ProcessNode) -> tuple[Round, ...]:
    """Return the rounds of a run, those that are not closed too."""
    entries = {entry['round']: entry for entry in round_entries(node)}
    children: dict[int, dict[str, orm.ProcessNode]] = {}
    for link in node.base.links.get_outgoing(link_type=(LinkType.CALL_CALC, LinkType.CALL_WORK)).all():
        if match := CALL_LINK.fullmatch(link.link_label):
            children.setdefault(int(match[2]), {})[match[1]] = link.node
    return tuple(_round(number, children.get(number, {}), entries.get(number)) for number in sorted({*entries, *children}))


def _round(number: int, children: Mapping[str, orm.ProcessNode], entry: RoundEntry | None) -> Round:
    stages = tuple(Stage(name, children[name].pk, state_of(children[name])) for name in CALLS if name in children)
    return Round(number, stages, report_of(children['select']) if 'select' in children else None, entry)


def report_of(node: orm.ProcessNode) -> Mapping[str, Any] | None:
    """Return the report of a process, or None where it has none."""
    return node.outputs.report.get_dict() if 'report' in node.outputs else None


def state_of(node: orm.ProcessNode) -> str:
    """Return how far a process is, with the exit status and the cause where it failed."""
    state = node.process_state.value if node.process_state else 'unknown'
    if node.is_finished and not node.is_finished_ok:
        return f'failed [{node.exit_status}]: {node.exit_message or "without a message"}'
    return f'{state}: {node.exception}' if node.is_excepted and node.exception else state
