"""The figures of a report page: the funnel of a selection as a Sankey diagram, errors along the rounds, equations of state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from plotly import graph_objects as go
from plotly.subplots import make_subplots

from aiida_mlip_autopipe.common.units import MILLI
from aiida_mlip_autopipe.science.selection.funnel import FUNNEL, REASONS

Counts = Mapping[str, Mapping[str, int]]
"""For each config_type, the number of frames by stage or by reason."""

PALETTE: Final = ('#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#ee8866', '#44bb99')
"""Colours of the config_types, told apart with the usual colour blindnesses (Paul Tol's bright scheme and two more)."""

METHODS: Final = {'potential': PALETTE[1], 'reference': PALETTE[0]}
"""Colours of the two that the physics gate compares."""

FONT: Final = {'family': 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif', 'size': 12, 'color': '#1f2933'}
KEPT, REMOVED, GRID = '#3e4c59', '#b8c1ca', '#e1e6eb'
VEIL: Final = 'rgba(255,255,255,0.7)'
"""Between a label and a link that runs behind it."""

UNKNOWN: Final = 'other'
"""Reason of frames that no known reason explains."""

BAND: Final = 240
"""Pixels, height of all frames together."""

GAP: Final = 34
"""Pixels between the nodes of a column: the two lines of a label."""

THICK: Final = 14
"""Pixels, width of a node."""


@dataclass(frozen=True)
class Node:
    """A node of the diagram; `label` is empty where the head of the column names it."""

    column: int
    count: int
    colour: str
    label: str = ''


@dataclass
class Flow:
    """Nodes of a Sankey diagram, from top to bottom in each column, and links: source, target, count, colour."""

    nodes: list[Node] = field(default_factory=list)
    links: list[tuple[int, int, int, str]] = field(default_factory=list)

    def add(self, node: Node) -> int:
        """Add a node below those of its column and return its number."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def columns(self) -> list[list[int]]:
        """Return the numbers of the nodes of each column."""
        last = max((node.column for node in self.nodes), default=-1)
        return [[number for number, node in enumerate(self.nodes) if node.column == column] for column in range(last + 1)]


def escaped(text: str) -> str:
    """Return a text that plotly and a browser show as it is, with words parted by spaces."""
    return text.replace('_', ' ').replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')


def removed_at(stage: str, counts: Mapping[str, int], reasons: Mapping[str, int]) -> dict[str, int]:
    """Return how many frames did not reach a stage though they reached the one before, by reason.

    :param counts: frames that reached each stage.
    :param reasons: how often each reason was given.
    """
    stages = [name for name in FUNNEL if name in counts]
    lost = counts[stages[stages.index(stage) - 1]] - counts[stage]
    known = {reason: reasons[reason] for reason in REASONS[stage] if reasons.get(reason)}
    rest = lost - sum(known.values())
    return {**known, UNKNOWN: rest} if rest > 0 else known


def reasons_given(stage: str, removed: Iterable[Mapping[str, int]]) -> list[str]:
    """Return the reasons at a stage that occur in any of the counts, in the order in which the funnel looks for them."""
    found = {reason for counts in removed for reason in counts}
    return [reason for reason in (*REASONS[stage], UNKNOWN) if reason in found]


def funnel_figure(by_type: Counts, reasons: Counts) -> go.Figure:
    """Return the funnel: config_types on the left, what is selected on the right, what is removed below, with its reason.

    :param by_type: frames that reached each stage.
    :param reasons: how often each reason was given.
    """
    flow = Flow()
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(by_type)}
    sources = {name: flow.add(Node(0, count['generated'], colours[name], name)) for name, count in by_type.items()}
    stages = [stage for stage in FUNNEL if all(stage in count for count in by_type.values())]
    totals = {stage: sum(count[stage] for count in by_type.values()) for stage in stages}
    for column, stage in enumerate(stages[1:], start=1):
        if totals[stage]:
            reached = flow.add(Node(column, totals[stage], KEPT))
            flow.links += [(sources[name], reached, count[stage], colours[name]) for name, count in by_type.items()]
        removed = {name: removed_at(stage, count, reasons.get(name, {})) for name, count in by_type.items()}
        for reason in reasons_given(stage, removed.values()):
            target = flow.add(Node(column, sum(found.get(reason, 0) for found in removed.values()), REMOVED, reason))
            flow.links += [(sources[n], target, found[reason], colours[n]) for n, found in removed.items() if reason in found]
        if not totals[stage]:
            break  # plotly puts the nodes behind one without links into wrong places
        sources = dict.fromkeys(by_type, reached)
    return _drawn(flow, totals)


def _drawn(flow: Flow, totals: Mapping[str, int]) -> go.Figure:
    """Return the figure; nodes and labels are placed here, because plotly's own places let labels run into each other.

    :param totals: frames that reached each stage, the heads of the columns.
    """
    columns = flow.columns()
    height = BAND + GAP * (max(map(len, columns), default=1) - 1)
    places = _places(flow, columns, height)
    x = [node.column / max(1, len(totals) - 1) for node in flow.nodes]
    links = [link for link in flow.links if link[2]]
    source, target, value, colour = zip(*links, strict=True) if links else ((), (), (), ())
    figure = go.Figure(
        go.Sankey(
            arrangement='fixed',
            node={
                'x': [max(one, 1e-6) for one in x],  # plotly ignores a place at 0
                'y': [max(one, 1e-6) for one in places],
                'hoverinfo': 'none',  # what it would say stands beside the node
                'color': [node.colour for node in flow.nodes],
                'pad': GAP,
                'thickness': THICK,
                'align': 'left',
                'line': {'width': 0},
            },
            link={
                'source': source,
                'target': target,
                'value': value,
                'color': [_faint(one) for one in colour],
                'hovertemplate': '%{value} frames<extra></extra>',
            },
        )
    )
    for node, left, place in zip(flow.nodes, x, places, strict=True):
        if node.label:
            look = {'font': {'size': 11}, **({'bgcolor': VEIL} if node.column else {})}
            label = f'{escaped(node.label)}<br>{node.count}'
            figure.add_annotation(_text(label, left, 1 - place, xanchor='left', yanchor='middle', xshift=THICK - 2, **look))
    for column, (stage, count) in enumerate(totals.items()):
        figure.add_annotation(
            _text(f'<b>{stage}</b><br>{count}', column / max(1, len(totals) - 1), 1, xanchor='center', yanchor='bottom', yshift=8)
        )
    margin = {'l': 34, 'r': 88, 't': 56, 'b': 24}
    figure.update_layout(font=FONT, margin=margin, height=height + 80, paper_bgcolor='rgba(0,0,0,0)')
    return figure


def _places(flow: Flow, columns: Sequence[Sequence[int]], height: int) -> list[float]:
    """Return the middle of each node, from 0 at the top to 1, as high as plotly draws it."""
    totals = [sum(flow.nodes[number].count for number in column) for column in columns]
    scale = min(
        ((height - GAP * (len(column) - 1)) / total for column, total in zip(columns, totals, strict=True) if total), default=0.0
    )
    places = [0.0] * len(flow.nodes)
    for column in columns:
        top = 0.0
        for number in column:
            own = scale * flow.nodes[number].count
            places[number] = (top + own / 2) / height
            top += own + GAP
    return places


def _text(text: str, x: float, y: float, **place: Any) -> dict[str, Any]:
    return {'text': text, 'x': x, 'y': y, 'xref': 'paper', 'yref': 'paper', 'showarrow': False, 'align': 'left', **place}


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f'rgba({red},{green},{blue},0.35)'


def error_figure(entries: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return force errors against the labels bought: on the frozen test set, and of the old potential on the new labels."""
    figure = go.Figure()
    for key, name, colour in (
        ('test_errors', 'frozen test set', PALETTE[0]),
        ('acquisition', 'new labels, before they are learnt', PALETTE[1]),
    ):
        points = [(entry['labels_total'], entry[key]['force_rmse'] * MILLI) for entry in entries if entry.get(key)]
        labels, errors = [labels for labels, _ in points], [error for _, error in points]
        figure.add_scatter(x=labels, y=errors, name=name, mode='lines+markers', line={'color': colour}, marker={'size': 8})
    figure.update_xaxes(title='labels bought')
    figure.update_yaxes(title='force RMSE, meV/Å', rangemode='tozero')
    return _in_house_style(figure, top=40, legend_at=1.02)


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
        figure.update_xaxes(title='volume, Å³/atom', row=1, col=column)
        figure.update_yaxes(title='energy, meV/atom' if column == 1 else None, row=1, col=column)
    return _in_house_style(figure, top=60, legend_at=1.15)


def _in_house_style(figure: go.Figure, *, top: int, legend_at: float) -> go.Figure:
    """Return a figure of curves with the look of the page.

    :param top: pixels above the axes.
    :param legend_at: bottom of the legend, in heights of the axes.
    """
    clear = 'rgba(0,0,0,0)'
    figure.update_xaxes(gridcolor=GRID, automargin=True)
    figure.update_yaxes(gridcolor=GRID, automargin=True)
    figure.update_layout(
        font=FONT, height=300, margin={'l': 8, 'r': 8, 't': top, 'b': 8}, paper_bgcolor=clear, plot_bgcolor=clear
    )
    figure.update_layout(legend={'orientation': 'h', 'x': 0, 'y': legend_at, 'yanchor': 'bottom'})
    return figure
