"""Pages in HTML: a template of Jinja in `templates/`, filled with values, which it escapes."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """Return a page.

    :param template: name of a file in `templates/`.
    :param values: what it shows.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    loader = PackageLoader('aiida_mlip_autopipe.formats')
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
