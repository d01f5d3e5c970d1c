"""The report page: one HTML file that needs no network, with the rounds of a run or one selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from plotly.offline import get_plotlyjs

from aiida_mlip_autopipe import __version__
from aiida_mlip_autopipe.cli.frozen_errors import HEAD, group_rows, interval_text, remarks
from aiida_mlip_autopipe.cli.report import Report
from aiida_mlip_autopipe.cli.report_figure import error_figure, funnel_figure, reasons_given, removed_at
from aiida_mlip_autopipe.cli.report_parts import DASH, figure_part, table_part
from aiida_mlip_autopipe.cli.report_properties import properties_section
from aiida_mlip_autopipe.cli.rounds import Round
from aiida_mlip_autopipe.cli.summary import failure_lines
from aiida_mlip_autopipe.common.reports import RoundEntry, SetErrors
from aiida_mlip_autopipe.common.units import GPA, MILLI
from aiida_mlip_autopipe.science.selection.funnel import FUNNEL

STYLE: Final = """
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1f2933; background: #f3f5f7; margin: 0; }
main { max-width: 1160px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 26px; margin: 0 0 12px; } h2 { font-size: 20px; margin: 0 0 8px; } h3 { font-size: 15px; margin: 20px 0 6px; }
section { background: #fff; border: 1px solid #e1e6eb; border-radius: 8px; padding: 20px; margin: 0 0 20px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0; }
dt, .aside { color: #616e7c; } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px 4px 0; text-align: right; border-bottom: 1px solid #edf0f3; }
.text { text-align: left; } .bold { font-weight: 600; }
th { color: #616e7c; font-weight: 600; vertical-align: bottom; white-space: pre; line-height: 1.25; }
ul { margin: 4px 0 0; padding-left: 20px; } li { overflow-wrap: anywhere; }
footer { color: #616e7c; font-size: 13px; }
@media (max-width: 720px) {
  main { padding: 8px; } section { padding: 12px; } table { font-size: 12px; } th, td { padding-right: 8px; }
}
"""


def page(report: Report) -> str:
    """Return the page."""
    parts = [f'<section><h1>{escape(report.title)}</h1>{_facts(report.facts)}</section>']
    entries = [one.entry for one in report.rounds if one.entry is not None]
    if report.is_run and not report.rounds:
        parts.append('<section>No round has begun.</section>')
    if len(entries) > 1:
        parts.append(_overview(entries))
    if report.properties is not None:
        parts.append(properties_section(report.properties))
    parts += [_round(one, is_run=report.is_run) for one in report.rounds]
    return '\n'.join(
        [
            '<!DOCTYPE html>',
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{escape(report.title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head>',
            '<body><main>',
            *parts,
            f'<footer>aiida-mlip-autopipe {__version__}</footer>',
            '</main></body></html>',
            '',
        ]
    )


def _facts(facts: Mapping[str, str]) -> str:
    return '<dl>' + ''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts.items()) + '</dl>'


def _overview(entries: Sequence[RoundEntry]) -> str:
    """Return what all closed rounds bought and learnt."""
    head = ('round', 'candidates', 'selected', 'labels\nbought', 'labels\nfailed', 'training\nframes', *_units('test '))
    rows = []
    for entry in entries:
        funnel = entry['funnel'] or {}
        counts = [entry[name] for name in ('labels_bought', 'labels_failed', 'n_train')]
        rows.append(
            [entry['round'], funnel.get('generated', DASH), funnel.get('selected', DASH), *counts, *_errors(entry['test_errors'])]
        )
    drawn = [entry for entry in entries if entry['test_errors']]
    figure = figure_part(error_figure(drawn), 'errors') if len(drawn) > 1 else ''
    return f'<section><h2>Rounds</h2>{table_part(head, rows)}{figure}</section>'


def _round(one: Round, *, is_run: bool) -> str:
    parts = [f'<h2>Round {one.number}{"" if one.entry else ", not closed"}</h2>'] if is_run else []
    if one.stages:
        parts.append(
            table_part(('stage', 'PK', 'state'), [[stage.name, stage.pk, stage.state] for stage in one.stages], text=(0, 2))
        )
    parts.append(_funnel(one) if one.selection or (one.entry and one.entry['funnel']) else '<p>No selection has ended.</p>')
    if one.entry:
        parts += [_labels(one.entry), _training(one.entry)]
    return f'<section>{"".join(parts)}</section>'


def _funnel(one: Round) -> str:
    """Return figure, table and remarks of a selection."""
    found = one.selection or {}
    of_entry = (one.entry.get('funnel_by_config_type'), one.entry.get('funnel_reasons')) if one.entry else (None, None)
    by_type = found.get('by_config_type') or of_entry[0] or {}
    reasons = found.get('reasons_by_config_type') or of_entry[1] or {}
    parts = ['<h3>From candidates to labels</h3>', figure_part(funnel_figure(by_type, reasons), f'funnel-{one.number}')]
    parts += ['<h3>Why frames were left out</h3>', _reasons(by_type, reasons)]
    remarks = [*_surrogate(found.get('surrogate') or {}), *found.get('notes', [])]
    if remarks:
        parts.append('<h3>Remarks</h3><ul>' + ''.join(f'<li>{escape(remark)}</li>' for remark in remarks) + '</ul>')
    return ''.join(parts)


def _reasons(by_type: Mapping[str, Mapping[str, int]], reasons: Mapping[str, Mapping[str, int]]) -> str:
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
    return table_part(head, rows, bold=bold)


def _surrogate(said: Mapping[str, Any]) -> list[str]:
    if not said:
        return []
    if said['kind'] == 'mace':
        by = f'features and predictions by the MACE model {said["name"]} on {said["device"]} in {said["dtype"]}'
        return [f'{by} (sha256 {said["sha256"]})']
    return [f'features by {said["name"]}']  # what that lacks is among the notes


def _labels(entry: RoundEntry) -> str:
    failures = ''.join(f'<li>{escape(line)}</li>' for line in failure_lines(entry['failures_by_reason']))
    text = f'{entry["labels_bought"]} bought, {entry["labels_failed"]} failed; {entry["labels_total"]} bought since the run began'
    return f'<h3>Labels</h3><p>{text}.</p>{f"<ul>{failures}</ul>" if failures else ""}'


def _training(entry: RoundEntry) -> str:
    """Return the errors of the old and the new potential."""
    sets = (
        (f'training, {entry["n_train"]} frames', entry['train_errors']),
        (f'test, {entry["n_test"]} frames, frozen', entry['test_errors']),
        ('old potential on the new labels', entry['acquisition']),
    )
    rows = [[name, *_errors(errors)] for name, errors in sets if errors]
    if not rows:
        return ''
    grade = entry.get('gamma_max')
    remark = f'<p class="aside">Highest extrapolation grade: {grade:.3g}</p>' if grade is not None else ''
    return f'<h3>Errors (RMSE)</h3>{table_part(("set", *_units()), rows)}{remark}{_groups(entry)}'


def _groups(entry: RoundEntry) -> str:
    """Return the errors on the frozen test set by group, with their intervals, and what there is to say against them."""
    told = ''.join(f'<li>{escape(remark)}</li>' for remark in remarks(entry))
    notes = f'<ul>{told}</ul>' if told else ''
    errors, rows = entry['test_errors'], group_rows(entry.get('test_groups'))
    if errors is None or not rows:
        return notes
    ends = [interval_text(errors.get('energy_interval'), '.2f'), interval_text(errors.get('force_interval'), '.1f')]
    energy, force, _ = _errors(errors)
    rows.append(['all', str(entry['n_test']), str(errors.get('n_lineages', DASH)), energy, ends[0], force, ends[1]])
    return f'<h3>Frozen test set by group</h3>{table_part(HEAD, rows)}{notes}'


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
