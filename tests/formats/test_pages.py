"""Pages from templates: what is filled in is escaped, and what is missing is an error."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import DictLoader, UndefinedError

from aiida_mlip_autopipe.formats import pages


@pytest.fixture(autouse=True)
def one_template(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = pages._environment().overlay(loader=DictLoader({'a.html': '<p>{{ name }}</p>'}))
    monkeypatch.setattr(pages, '_environment', lambda: environment)


def test_values_are_no_markup() -> None:
    assert pages.render('a.html', name='<i> & co') == '<p>&lt;i&gt; &amp; co</p>'


@pytest.mark.parametrize('values', [{}, {'nam': 1}])
def test_a_value_that_is_missing(values: dict[str, Any]) -> None:
    with pytest.raises(UndefinedError, match='name'):
        pages.render('a.html', **values)
