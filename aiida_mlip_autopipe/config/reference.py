"""The reference page of the configuration: every key with its type, default, bounds and unit, out of the models themselves."""

from __future__ import annotations

import sys
import textwrap
import typing
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from aiida_mlip_autopipe.common.settings import models_in, tag_of
from aiida_mlip_autopipe.config.pipeline import MLIPConfig

HEAD = """# Configuration

Written by `python -m aiida_mlip_autopipe.config.reference > docs/configuration.md`; a test holds it to the models.

One YAML file describes a run. Unknown keys are refused. `examples/almg/config.yaml` is a complete one.

Each key is followed by its default and what is allowed, in brackets, and by its unit and meaning.
"""
WIDTH = 130
SIGNS = {'gt': '>', 'ge': '≥', 'lt': '<', 'le': '≤', 'min_length': 'length ≥'}


def reference_page() -> str:
    """Return the page in Markdown: one list of keys for each section of the configuration."""
    return '\n'.join([HEAD, *_sections('', MLIPConfig)])


def _sections(prefix: str, model: type[BaseModel]) -> list[str]:
    lines, inner = _keys(prefix, model), []
    for name, field in model.model_fields.items():
        for member in models_in(field.annotation):
            inner.extend(_sections(f'{prefix}{name}.', member))
    return [*lines, *inner]


def _keys(prefix: str, model: type[BaseModel]) -> list[str]:
    tag = tag_of(model)
    title = prefix.rstrip('.') or 'top level'
    lines = [f'## {title}{f" ({tag})" if tag else ""}', '', *_wrapped(_first_line(model)), '']
    for name, field in model.model_fields.items():
        inner = models_in(field.annotation)
        facts = ', '.join(filter(None, ['' if inner and not field.is_required() else _default(field), _allowed(field)]))
        meaning = field.description or _first_line(inner[0])
        lines += _wrapped(f'- `{prefix}{name}`{f" ({facts})" if facts else ""}: {meaning}', '  ')
    return [*lines, '']


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or '').strip().splitlines()[0]


def _wrapped(text: str, indent: str = '') -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _default(field: FieldInfo) -> str:
    return '**required**' if field.default is PydanticUndefined else f'default `{field.default!r}`'


def _allowed(field: FieldInfo) -> str:
    found = [
        f'{sign} {value:g}'
        for item in _constraints(field)
        for name, sign in SIGNS.items()
        if (value := getattr(item, name, None)) is not None
    ]
    texts = [repr(text) for text in _literals(field.annotation)]
    return f'allowed {", ".join([*texts, *found])}' if texts or found else ''


def _constraints(field: FieldInfo) -> list[Any]:
    nested = [item for part in typing.get_args(field.annotation) for item in getattr(part, '__metadata__', ())]
    return [*field.metadata, *(inner for item in nested for inner in (getattr(item, 'metadata', None) or [item]))]


def _literals(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [text for part in typing.get_args(annotation) for text in _literals(part)]


if __name__ == '__main__':
    sys.stdout.write(reference_page())
