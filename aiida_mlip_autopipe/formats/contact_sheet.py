"""A page in HTML with a picture of one structure of each kind and the table of the strategies, all of it in one file."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.pages import render
from aiida_mlip_autopipe.formats.structure_svg import PALETTE, Mark, picture

VARIANTS: Final[Mapping[str, str]] = {'sqs': 'method', 'strain': 'kind', 'surface': 'top'}
"""What in the origin tells apart structures of one kind that each deserve a picture."""

LONGEST: Final = 90
"""Letters of the parameters that a card shows."""


def contact_sheet(name: str, frames: Frames, table: Sequence[Mapping[str, Any]], notes: Iterable[str] = ()) -> str:
    """Return the page.

    :param name: of the configuration.
    :param frames: what was made.
    :param table: for each strategy `strategy`, `kept`, `tried`, `atoms` and `rejected`.
    :param notes: sentences on how the structures were made.
    """
    return render(
        'contact_sheet.html',
        name=name,
        n_structures=len(frames),
        n_lineages=len(set(frames.lineage.tolist())),
        notes=list(notes),
        colours=dict(zip((atomic_numbers[element] for element in frames.elements), itertools.cycle(PALETTE), strict=False)),
        symbols=chemical_symbols,
        cards=[_card(frames, index, count) for index, count in one_of_each(frames)],
        table=table,
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


def _card(frames: Frames, index: int, count: int) -> dict[str, Any]:
    """Return what a card shows; the formula in parts of letters and of digits."""
    atoms, kind, origin = frames.atoms(index), str(frames.config_type[index]), str(frames.origin[index])
    variant = _variant(kind, origin)
    title = f'{kind} · {variant}' if variant else kind
    formula = atoms.get_chemical_formula(mode='metal')
    lengths = ' by '.join(f'{length:.1f}' for length in atoms.cell.lengths())
    told = ', '.join(
        f'{key} {_short(value)}' for key, value in _told(origin).items() if key not in ('strategy', VARIANTS.get(kind))
    )
    return {
        'picture': picture(atoms, escape(f'{title}, {formula}'), marks_of(frames, index)),
        'count': count,
        'title': title,
        'formula': re.findall(r'\d+|\D+', formula),
        'size': f'{len(atoms)} atoms, {lengths} Å',
        'told': told if len(told) <= LONGEST else f'{told[: LONGEST - 1]}…',
    }


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
