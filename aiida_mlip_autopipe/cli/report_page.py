"""The report page: one HTML file that needs no network, with the rounds of a run or one selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from plotly import graph_objects as go
from plotly.offline import get_plotlyjs

from aiida_mlip_autopipe import __version__
from aiida_mlip_autopipe.cli import report_properties
from aiida_mlip_autopipe.cli.frozen_errors import HEAD, group_rows, interval_text, remarks
from aiida_mlip_autopipe.cli.nodes import RUNS, load_process
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.cli.report import GATE, SELECTIONS, Report, told
from aiida_mlip_autopipe.cli.report_figure import eos_figure, error_figure, funnel_figure, reasons_given, removed_at
from aiida_mlip_autopipe.cli.rounds import Round
from aiida_mlip_autopipe.cli.summary import failure_lines
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.reports import RoundEntry, SetErrors
from aiida_mlip_autopipe.common.units import GPA, MILLI
from aiida_mlip_autopipe.formats.pages import render
from aiida_mlip_autopipe.science.selection.funnel import FUNNEL

CONFIG: Final = {'displayModeBar': False, 'responsive': True}
"""Of the figures of plotly."""

DASH: Final = '-'
"""Where there is no number."""


class Table(NamedTuple):
    """A table of the page: `text` are the columns that are aligned to the left, `bold` those that stand out."""

    head: Iterable[str]
    rows: Iterable[Sequence[Any]]
    text: Sequence[int] = (0,)
    bold: Sequence[int] = ()


def write_report(identifier: str, output: Path) -> None:
    """Write the page of a run or of one selection.

    :raises InputError: there is no such process, or the folder of the file does not exist.
    """
    if not output.parent.is_dir():
        raise InputError(f'--output: got {str(output)!r}; the folder {output.parent} does not exist')
    load_profile()
    text = page(told(load_process(identifier, (*RUNS, *SELECTIONS, GATE))))
    output.write_text(text, encoding='utf-8')
    click.echo(f'written to {output}')


def page(report: Report) -> str:
    """Return the page."""
    entries = [one.entry for one in report.rounds if one.entry is not None]
    drawn = [entry for entry in entries if entry['test_errors']]
    return render(
        'report.html',
        report=report,
        overview=_overview(entries) if len(entries) > 1 else None,
        error_figure=_figure(error_figure(drawn), 'errors') if len(drawn) > 1 else '',
        gate=None if report.properties is None else _gate(report.properties),
        rounds=[_round(one) for one in report.rounds],
        plotly=get_plotlyjs(),
        version=__version__,
    )


def _figure(figure: go.Figure, name: str) -> str:
    """Return a figure of plotly, whose script the page holds once.

    :param name: of the element, unlike all others of the page.
    """
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=name))


def _overview(entries: Sequence[RoundEntry]) -> Table:
    """Return what all closed rounds bought and learnt."""
    head = ('round', 'candidates', 'selected', 'labels\nbought', 'labels\nfailed', 'training\nframes', *_units('test '))
    rows = []
    for entry in entries:
        funnel = entry['funnel'] or {}
        counts = [entry[name] for name in ('labels_bought', 'labels_failed', 'n_train')]
        rows.append(
            [entry['round'], funnel.get('generated', DASH), funnel.get('selected', DASH), *counts, *_errors(entry['test_errors'])]
        )
    return Table(head, rows)


def _gate(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the physics gate found.

    :param report: of `PropertiesWorkChain`.
    """
    rows = [report_properties.row_cells(row) for row in report['rows']]
    return {
        'summary': report_properties.summary(report),
        'table': Table(report_properties.HEAD, rows, text=report_properties.TEXT_COLUMNS),
        'failures': report['failures'],
        'figure': _figure(eos_figure(report['curves']), 'eos') if report['curves'] else '',
    }


def _round(one: Round) -> dict[str, Any]:
    """Return what the page shows of a round."""
    found = one.selection or {}
    entry: Mapping[str, Any] = one.entry or {}
    by_type = found.get('by_config_type') or entry.get('funnel_by_config_type') or {}
    reasons = found.get('reasons_by_config_type') or entry.get('funnel_reasons') or {}
    has_funnel = one.selection or entry.get('funnel')
    stages = [[stage.name, stage.pk, stage.state] for stage in one.stages]
    return {
        'number': one.number,
        'entry': one.entry and {'gamma_max': None, **one.entry},
        'stages': Table(('stage', 'PK', 'state'), stages, text=(0, 2)) if stages else None,
        'funnel': _figure(funnel_figure(by_type, reasons), f'funnel-{one.number}') if has_funnel else '',
        'reasons': _reasons(by_type, reasons),
        'remarks': [*_surrogate(found.get('surrogate') or {}), *found.get('notes', [])],
        'errors': _sets(entry),
        'groups': _groups(entry),
        'notes': remarks(one.entry) if one.entry else [],
        'failures': failure_lines(entry.get('failures_by_reason') or {}),
    }


def _reasons(by_type: Mapping[str, Mapping[str, int]], reasons: Mapping[str, Mapping[str, int]]) -> Table:
    """Return the table with a row for each config_type, and a column for each stage and each reason that was given."""
    stages = [stage for stage in FUNNEL if all(stage in count for count in by_type.values())]
    lost = {name: {s: removed_at(s, count, reasons.get(name, {})) for s in stages[1:]} for name, count in by_type.items()}
    columns: list[tuple[str, str | None]] = []
    for stage in stages:
        given = reasons_given(stage, (lost[name][stage] for name in by_type)) if stage != stages[0] else []
        columns += [*((stage, reason) for reason in given), (stage, None)]
    rows: list[list[Any]] = [
        [name, *(count[stage] if reason is None else lost[name][stage].get(reason, 0) for stage, reason in columns)]
        for name, count in by_type.items()
    ]
    if len(rows) > 1:
        rows.append(['all', *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))])
    head = ['config_type', *(stage if reason is None else reason.replace('_', '\n') for stage, reason in columns)]
    bold = [number for number, (_, reason) in enumerate(columns, start=1) if reason is None]
    return Table(head, rows, bold=bold)


def _surrogate(said: Mapping[str, Any]) -> list[str]:
    if not said:
        return []
    if said['kind'] == 'mace':
        by = f'features and predictions by the MACE model {said["name"]} on {said["device"]} in {said["dtype"]}'
        return [f'{by} (sha256 {said["sha256"]})']
    return [f'features by {said["name"]}']  # what that lacks is among the notes


def _sets(entry: Mapping[str, Any]) -> Table | None:
    """Return the errors of the old and the new potential, or None where there are none."""
    sets = (
        (f'training, {entry.get("n_train")} frames', 'train_errors'),
        (f'test, {entry.get("n_test")} frames, frozen', 'test_errors'),
        ('old potential on the new labels', 'acquisition'),
    )
    rows = [[name, *_errors(entry[key])] for name, key in sets if entry.get(key)]
    return Table(('set', *_units()), rows) if rows else None


def _groups(entry: Mapping[str, Any]) -> Table | None:
    """Return the errors on the frozen test set by group, with their intervals, or None where there are no groups."""
    errors, rows = entry.get('test_errors') or {}, group_rows(entry.get('test_groups'))
    if not rows:
        return None
    ends = [interval_text(errors.get(f'{name}_interval'), form) for name, form in (('energy', '.2f'), ('force', '.1f'))]
    energy, force, _ = _errors(entry['test_errors'])
    rows.append(['all', str(entry['n_test']), str(errors.get('n_lineages', DASH)), energy, ends[0], force, ends[1]])
    return Table(HEAD, rows)


def _units(prefix: str = '') -> tuple[str, ...]:
    return tuple(f'{prefix}{name}' for name in ('energy\nmeV/atom', 'force\nmeV/Å', 'stress\nGPa'))


def _errors(errors: SetErrors | None) -> list[str]:
    if not errors:
        return [DASH] * 3
    stress = errors.get('stress_rmse')
    return [
        f'{MILLI * errors["energy_rmse"]:.2f}',
        f'{MILLI * errors["force_rmse"]:.1f}',
        DASH if stress is None else f'{stress / GPA:.3f}',
    ]
