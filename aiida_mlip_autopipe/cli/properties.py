"""What the command properties does: a potential against the labeller, on the crystals of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiida import orm

from aiida_mlip_autopipe.cli.nodes import load_potential, require_daemon, submitted, tell_end
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.cli.report_properties import HEAD, TEXT_COLUMNS, row_cells, summary
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.workflows.properties import PropertiesWorkChain, properties_inputs, validate_inputs


def submit_properties(potential: str, path: Path, *, wait: bool) -> orm.WorkChainNode:
    """Submit the physics gate of a potential, print its table where asked to wait, and return its node.

    :param potential: PK or uuid of the potential, or of a process that has one as output.
    :param path: configuration with a section properties; system, generate, label and worker count, too.
    :raises InputError: a mistake in the file, something missing in the profile, or no daemon; nothing is submitted then.
    """
    config = MLIPConfig.from_yaml(path)
    if config.properties is None:
        raise InputError(f'{path}: properties: missing; without this section there is nothing to compare')
    load_profile()
    data = load_potential(potential)
    inputs = properties_inputs(config, data)
    if problem := validate_inputs(inputs, None):
        raise InputError(problem)
    require_daemon()
    metadata = {'label': config.name, 'description': f'properties of potential {data.uuid} by {path.resolve()}'}
    node = submitted(PropertiesWorkChain, **inputs, metadata=metadata)
    if wait:
        tell_end(node, lambda node: properties_lines(node.outputs.report.get_dict()) if 'report' in node.outputs else ())
    return node


def properties_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the table of a report as lines of text, and the verdict below it."""
    cells = [list(HEAD), *(row_cells(row) for row in report['rows'])]
    return [*_aligned(cells, TEXT_COLUMNS), *report['failures'], summary(report)]


def _aligned(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        '  '.join(
            f'{cell:<{width}}' if column in left else f'{cell:>{width}}'
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
