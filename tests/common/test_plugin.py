"""Plug-ins that own a section: which are registered, what is no plug-in, and how a section is read alone."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field

from aiida_mlip_autopipe.common import plugin
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.plugin import Plugin
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.labeller import Labeller
from aiida_mlip_autopipe.science.trainer import Trainer

KINDS = (Labeller, Trainer, Explorer)
every_kind = pytest.mark.parametrize('kind', KINDS, ids=lambda kind: kind.__name__)


class Cook(Plugin):
    """A kind of plug-in."""

    GROUP = 'test.cooks'
    SECTION = 'kitchen'
    KEY = 'cook'
    DEFAULT = 'a.cook'
    GONE = {'stove': 'take oven'}

    oven: int = Field(default=1, ge=1, description='ovens')


class ACook(Cook):
    """The default."""

    cook: Literal['a.cook'] = 'a.cook'


class OtherCook(Cook):
    """Another one."""

    cook: Literal['other.cook'] = 'other.cook'
    salt: float = Field(default=0.1, description='g')


class Nameless(Cook):
    """No name."""


@pytest.fixture
def cooks(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(group: str, check: Any) -> dict[str, Any]:
        assert group == 'test.cooks'
        return {'a.cook': ACook, 'other.cook': OtherCook}

    monkeypatch.setattr(plugin, 'plugins', found)
    for cached in (plugin._registered, plugin._section):
        cached.cache_clear()


@every_kind
def test_each_of_ours_has_the_name_of_its_entry_point(kind: type[Plugin]) -> None:
    assert kind.DEFAULT in kind.registered()
    assert {name: found.model_fields[kind.KEY].default for name, found in kind.registered().items()} == {
        name: name for name in kind.registered()
    }


@pytest.mark.parametrize(
    ('found', 'said'),
    [
        (dict, r'a\.b of test\.cooks must be a subclass of tests\.common\.test_plugin\.Cook; got'),
        (Trainer, r'must be a subclass of tests\.common\.test_plugin\.Cook'),
        (Nameless, r"must have the field cook: Literal\['a.b'\]; got None"),
        (OtherCook, r"must have the field cook: Literal\['a.b'\]; got 'other.cook'"),
    ],
)
def test_what_is_no_plugin(found: type, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def registered(group: str, check: Any) -> dict[str, Any]:
        check('a.b', found)
        raise AssertionError('not refused')

    monkeypatch.setattr(plugin, 'plugins', registered)
    plugin._registered.cache_clear()
    with pytest.raises(InputError, match=said):
        Cook.registered()


def test_a_section_alone(cooks: None) -> None:
    assert Cook.of({}) == ACook()
    assert Cook.of({'cook': 'other.cook', 'salt': 2}) == OtherCook(salt=2)
    assert Cook.of(OtherCook(oven=3).model_dump()).name == 'other.cook'


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        (
            {'cook': 'ather.cook'},
            "kitchen.cook: got 'ather.cook'; did you mean 'other.cook'? registered here: a.cook, other.cook",
        ),
        ({'cook': 5}, "kitchen.cook: got '5'; registered here: a.cook, other.cook"),
        ({'salt': 1}, 'kitchen.salt: unknown key; allowed here: oven, cook'),
        ({'cook': 'other.cook', 'salty': 1}, "kitchen.salty: unknown key; did you mean 'salt'? allowed here: oven, cook, salt"),
        ({'oven': 0}, 'kitchen.oven: got 0; input should be greater than or equal to 1 (ovens)'),
        ({'stove': 1}, 'kitchen.stove: this key is gone; take oven'),
    ],
)
def test_mistakes(cooks: None, values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        Cook.of(values)
    assert str(error.value) == said
