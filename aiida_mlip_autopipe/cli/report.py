"""What a report page tells of a run, of one selection or of one comparison of properties, finished or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiida import orm

from aiida_mlip_autopipe.calculations.selection import SelectCalculation
from aiida_mlip_autopipe.cli.rounds import Round, report_of, rounds_of, state_of
from aiida_mlip_autopipe.workflows.properties import PropertiesWorkChain

SELECTIONS = (SelectCalculation.__name__, 'SurrogateCalculation')
"""The second is what runs of before 2026-11-27 have."""

GATE = PropertiesWorkChain.__name__


@dataclass(frozen=True)
class Report:
    """What a page tells.

    :param facts: name and value of what is said of the whole process, in this order.
    :param rounds: of a run, or a single one that holds one selection.
    :param is_run: whether it is a run with rounds, or one selection or comparison of properties.
    :param properties: report of the newest physics gate, or None.
    """

    title: str
    facts: Mapping[str, str]
    rounds: tuple[Round, ...]
    is_run: bool = True
    properties: Mapping[str, Any] | None = None


def told(node: orm.ProcessNode) -> Report:
    """Return what there is to tell of a process, also while it goes on."""
    facts = {'process': f'{node.process_label} {node.pk}', 'uuid': node.uuid, 'state': state_of(node)}
    facts['begun'] = f'{node.ctime:%Y-%m-%d %H:%M}'
    if node.is_terminated:
        facts['ended'] = f'{node.mtime:%Y-%m-%d %H:%M}'
    if node.process_label in SELECTIONS:
        return Report(node.label or f'Selection {node.pk}', facts, (Round(0, (), report_of(node), None),), is_run=False)
    if node.process_label == GATE:
        return Report(node.label or f'Properties {node.pk}', facts, (), is_run=False, properties=report_of(node))
    if (outcome := report_of(node)) is not None:
        verdict = outcome.get('verdict')
        facts |= {'stopped because': str(outcome['stop_reason']), **({'verdict': verdict['sentence']} if verdict else {})}
        facts |= {'labels bought': str(outcome['labels_total'])}
    facts |= {name: f'PK {node.outputs[name].pk}' for name in ('potential', 'frames', 'quarantined') if name in node.outputs}
    return Report(node.label or f'Run {node.pk}', facts, rounds_of(node), properties=_newest_gate(node))


def _newest_gate(node: orm.ProcessNode) -> Mapping[str, Any] | None:
    """Return the report of the last comparison of properties that a run called and that has one."""
    gates = [child for child in node.called if child.process_label == GATE and 'report' in child.outputs]
    return report_of(max(gates, key=lambda child: child.pk)) if gates else None
