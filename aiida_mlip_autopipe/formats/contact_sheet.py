"""A page in HTML with a picture of one structure of each kind and the table of the strategies, all of it in one file."""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.structure_svg import PALETTE, Mark, gradients, picture

VARIANTS: Final[Mapping[str, str]] = {'sqs': 'method', 'strain': 'kind', 'surface': 'top'}
"""What in the origin tells apart structures of one kind that each deserve a picture."""

LONGEST: Final = 90
"""Letters of the parameters that a card shows."""

STYLE: Final = """
:root { color-scheme: light; --ink: #1c2430; --faint: #68737f; --line: #dde3e8; --paper: #f5f7f9; --accent: #2f6f8f; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.5rem 3rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; }
.lead { color: var(--faint); margin: 0 0 1rem; }
.legend { display: flex; gap: 1.1rem; margin: 0 0 1.4rem; font-weight: 600; }
.legend i { display: inline-block; width: .95rem; height: .95rem; border-radius: 50%; margin-right: .35rem; vertical-align: -2px;
  border: 1px solid rgb(0 0 0 / 25%); }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; margin: 0 0 2rem; }
figure { margin: 0; background: #fff; border: 1px solid var(--line); border-radius: .5rem; overflow: hidden; }
figure svg { display: block; width: 100%; height: 13.5rem; padding: .6rem; border-bottom: 1px solid var(--line); }
figure path { stroke: #8894a0; stroke-width: .07; fill: none; stroke-linecap: round; }
figure circle { stroke: rgb(0 0 0 / 40%); stroke-width: .04; }
figure circle.here, figure circle.empty { fill: none; stroke: #d0182b; stroke-width: .16; }
figure circle.empty { stroke-dasharray: .35 .25; }
figcaption { padding: .6rem .8rem .75rem; }
figcaption b { color: var(--accent); }
figcaption .n { float: right; color: var(--faint); }
figcaption div { font-weight: 600; }
figcaption small { display: block; color: var(--faint); font-size: .8rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; background: #fff; border: 1px solid var(--line); }
th, td { padding: .35rem .8rem; text-align: left; border-bottom: 1px solid var(--line); }
th { color: var(--faint); font-weight: 600; }
td.num, th.num { text-align: right; font-variant-numeric: tabular-nums; }
"""


def contact_sheet(name: str, frames: Frames, table: Sequence[Mapping[str, Any]], notes: Iterable[str] = ()) -> str:
    """Return the page.

    :param name: of the configuration.
    :param frames: what was made.
    :param table: for each strategy `strategy`, `kept`, `tried`, `atoms` and `rejected`.
    :param notes: sentences on how the structures were made.
    """
    colours = dict(zip((atomic_numbers[element] for element in frames.elements), itertools.cycle(PALETTE), strict=False))
    legend = ''.join(f'<span><i style="background:{c}"></i>{chemical_symbols[z]}</span>' for z, c in colours.items())
    lineages = len(set(frames.lineage.tolist()))
    cards = ''.join(_card(frames, index, count) for index, count in one_of_each(frames))
    said = ' '.join(html.escape(note) for note in notes)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(name)}: structures</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>{gradients(colours)}'
        f'<h1>{html.escape(name)}</h1><p class="lead">{len(frames)} structures from {lineages} lineages. {said}</p>'
        f'<div class="legend">{legend}</div><div class="sheet">{cards}</div>{_table(table)}</body></html>\n'
    )


def one_of_each(frames: Frames) -> list[tuple[int, int]]:
    """Return for each kind of structure the index of one of them, with as many elements as any has, and how many there are."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, kind in enumerate(frames.config_type.tolist()):
        groups.setdefault((kind, _variant(kind, str(frames.origin[index]))), []).append(index)
    mixed = [len(np.unique(frames.numbers[frames.rows(index)])) for index in range(len(frames))]
    kinds = list(dict.fromkeys(kind for kind, _ in groups))
    ordered = sorted(groups, key=lambda group: kinds.index(group[0]))  # variants of a kind side by side
    return [(max(groups[group], key=lambda index: (mixed[index], -index)), len(groups[group])) for group in ordered]


def _variant(kind: str, origin: str) -> str:
    return str(_told(origin).get(VARIANTS.get(kind, ''), ''))


def _told(origin: str) -> dict[str, Any]:
    return dict(json.loads(origin)) if origin else {}


def _card(frames: Frames, index: int, count: int) -> str:
    atoms, kind, origin = frames.atoms(index), str(frames.config_type[index]), str(frames.origin[index])
    variant = _variant(kind, origin)
    title = f'{kind} · {variant}' if variant else kind
    formula = atoms.get_chemical_formula(mode='metal')
    lengths = ' by '.join(f'{length:.1f}' for length in atoms.cell.lengths())
    told = ', '.join(
        f'{key} {_short(value)}' for key, value in _told(origin).items() if key not in ('strategy', VARIANTS.get(kind))
    )
    told = told if len(told) <= LONGEST else f'{told[: LONGEST - 1]}…'
    drawn = picture(atoms, html.escape(f'{title}, {formula}'), marks_of(frames, index))
    return (
        f'<figure>{drawn}<figcaption><span class="n">{count}</span>'
        f'<b>{html.escape(title)}</b><div>{_with_subscripts(formula)}</div>'
        f'<small>{len(atoms)} atoms, {lengths} Å</small><small>{html.escape(told)}</small></figcaption></figure>'
    )


def marks_of(frames: Frames, index: int) -> list[Mark]:
    """Return the places of the defects of a structure, as its origin tells them: atoms by index, empty sites by place."""
    told, kind = _told(str(frames.origin[index])), str(frames.config_type[index])
    parents = np.flatnonzero(frames.uid == frames.parent[index])
    here = frames.positions[frames.rows(index)]
    perfect = frames.positions[frames.rows(int(parents[0]))] if len(parents) else here[:0]
    swapped = [site for pair in told.get('pairs', ()) for site in pair]
    changed = {'antisite': told.get('sites', ()), 'swap': swapped}.get(kind, ())
    missing = {'vacancy': told.get('sites', ()), 'divacancy': told.get('sites', ()), 'frenkel': told.get('atoms', ())}.get(
        kind, ()
    )
    filled = told.get('sites', ()) if kind in ('interstitial', 'frenkel') else ()
    marks = [Mark(_place(here[site])) for site in changed]
    marks += [Mark(_place(perfect[site]), is_empty=True) for site in missing if site < len(perfect)]
    return marks + [Mark(_place(site)) for site in filled]


def _place(position: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = (float(part) for part in position)
    return x, y, z


def _short(value: Any) -> str:
    """Return a parameter as a card shows it."""
    if isinstance(value, float):
        return f'{value:.4g}'
    if isinstance(value, Mapping):
        return ' '.join(f'{key} {_short(item)}' for key, item in value.items() if item)
    return f'[{", ".join(_short(item) for item in value)}]' if isinstance(value, list) else str(value)


def _with_subscripts(formula: str) -> str:
    return ''.join(f'<sub>{letter}</sub>' if letter.isdigit() else letter for letter in formula).replace('</sub><sub>', '')


def _table(table: Sequence[Mapping[str, Any]]) -> str:
    rows = ''.join(
        f'<tr><td>{html.escape(str(row["strategy"]))}</td><td class="num">{row["kept"]}</td><td class="num">{row["tried"]}</td>'
        f'<td>{row["atoms"]}</td><td>{html.escape(str(row["rejected"]))}</td></tr>'
        for row in table
    )
    head = '<tr><th>strategy</th><th class="num">kept</th><th class="num">tried</th><th>atoms</th><th>rejected</th></tr>'
    return f'<table>{head}{rows}</table>'
