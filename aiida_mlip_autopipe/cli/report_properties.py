"""What the physics gate found, as a section of a report page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from plotly import graph_objects as go
from plotly.subplots import make_subplots

from aiida_mlip_autopipe.cli.report_figure import FONT, GRID, PALETTE
from aiida_mlip_autopipe.cli.report_parts import DASH, figure_part, table_part
from aiida_mlip_autopipe.common.units import MILLI

METHODS: Final = {'potential': PALETTE[1], 'reference': PALETTE[0]}
"""Colours of the two that are compared."""

HEAD: Final = ('crystal', 'property', 'quantity', 'unit', 'potential', 'reference', 'error', 'allowed', '', 'remark')
TEXT_COLUMNS: Final = (0, 1, 2, 3, 8, 9)
VERDICTS: Final = {True: 'passed', False: 'failed', None: ''}


def properties_section(report: Mapping[str, Any]) -> str:
    """Return the section.

    :param report: of `PropertiesWorkChain`.
    """
    rows = [row_cells(row) for row in report['rows']]
    failures = ''.join(f'<li>{escape(text)}</li>' for text in report['failures'])
    remarks = f'<ul>{failures}</ul>' if failures else ''
    curves = report['curves']
    figure = figure_part(eos_figure(curves), 'eos') if curves else ''
    parts = [f'<h2>Properties</h2><p>{escape(summary(report))}</p>', table_part(HEAD, rows, text=TEXT_COLUMNS), remarks, figure]
    return f'<section>{"".join(parts)}</section>'


def summary(report: Mapping[str, Any]) -> str:
    """Return one sentence on whether the potential passed, and what the reference cost."""
    judged = [row['passed'] for row in report['rows'] if row['passed'] is not None]
    verdict = 'passed' if report['passed'] else 'did not pass'
    bought = report['n_reference'] - report['n_reused']
    return (
        f'The potential {verdict}: {sum(judged)} of {len(judged)} quantities within their limits; {report["n_reference"]} labels '
        f'of the reference, {bought} of them new.'
    )


def row_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a row of the report, in the order of :data:`HEAD`."""
    numbers = [DASH if row[name] is None else f'{row[name]:.4g}' for name in ('potential', 'reference', 'error', 'threshold')]
    names = [row[name] for name in ('crystal', 'property', 'quantity', 'unit')]
    return [*names, *numbers, VERDICTS[row['passed']], row['note']]


def eos_figure(curves: Mapping[str, Mapping[str, list[list[float]]]]) -> go.Figure:
    """Return the energies of each crystal over its volume, each method from its own lowest point.

    :param curves: by crystal and method volumes (Å³/atom) and energies (eV/atom).
    """
    figure = make_subplots(rows=1, cols=len(curves), subplot_titles=list(curves))
    for column, methods in enumerate(curves.values(), start=1):
        for method, points in methods.items():
            lowest = min(energy for _, energy in points)
            volumes, energies = [v for v, _ in points], [MILLI * (energy - lowest) for _, energy in points]
            look = {'line': {'color': METHODS[method]}, 'marker': {'size': 6}, 'legendgroup': method, 'showlegend': column == 1}
            figure.add_scatter(x=volumes, y=energies, name=method, mode='lines+markers', row=1, col=column, **look)
        figure.update_xaxes(title='volume, Å³/atom', gridcolor=GRID, automargin=True, row=1, col=column)
        figure.update_yaxes(title='energy, meV/atom' if column == 1 else None, gridcolor=GRID, automargin=True, row=1, col=column)
    figure.update_layout(
        font=FONT,
        height=300,
        margin={'l': 8, 'r': 8, 't': 60, 'b': 8},
        paper_bgcolor='rgba(0,0,0,0)',
        plot_bgcolor='rgba(0,0,0,0)',
        legend={'orientation': 'h', 'x': 0, 'y': 1.15, 'yanchor': 'bottom'},
    )
    return figure
