"""Tables and figures as they stand on a report page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from plotly import graph_objects as go

CONFIG: Final = {'displayModeBar': False, 'responsive': True}
DASH: Final = '-'
"""Where there is no number."""


def table_part(
    head: Iterable[str], rows: Iterable[Sequence[Any]], *, text: Sequence[int] = (0,), bold: Sequence[int] = ()
) -> str:
    """Return a table.

    :param text: columns that are aligned to the left.
    :param bold: columns that stand out.
    """
    lines = [_line('th', head, text, ()), *(_line('td', map(str, row), text, bold) for row in rows)]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _line(tag: str, cells: Iterable[str], text: Sequence[int], bold: Sequence[int]) -> str:
    parts = []
    for place, cell in enumerate(cells):
        classes = ' '.join(name for name, places in (('text', text), ('bold', bold)) if place in places)
        parts.append(f'<{tag} class="{classes}">{escape(cell)}</{tag}>' if classes else f'<{tag}>{escape(cell)}</{tag}>')
    return f'<tr>{"".join(parts)}</tr>'


def figure_part(figure: go.Figure, name: str) -> str:
    """Return a figure of plotly, whose script the page holds once.

    :param name: of the element, unlike all others of the page.
    """
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=CONFIG, div_id=name))
