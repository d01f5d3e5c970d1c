"""`Plugin`: a section of the configuration that names a plug-in and holds its settings, out of those that are registered."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Self, Union

from pydantic import Discriminator, Tag, ValidationError, create_model

from aiida_mlip_autopipe.common.entry_points import plugins, require_subclass
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.settings import TAG, Settings, explain, tag_of


class Plugin(Settings):
    """Settings of a kind of plug-in; a subclass of the kind has the field `KEY`, a `Literal` of its entry point."""

    GROUP: ClassVar[str]
    """Entry points of the kind; each has the name of the process of AiiDA that runs it."""

    SECTION: ClassVar[str]
    """Of the configuration."""

    KEY: ClassVar[str]
    """Field of the section that holds the entry point."""

    DEFAULT: ClassVar[str]
    """Entry point where the section names none."""

    @property
    def name(self) -> str:
        """The entry point."""
        return str(tag_of(type(self)))

    @classmethod
    def registered(cls) -> Mapping[str, type[Self]]:
        """Return the plug-ins of this kind by their entry points."""
        return _registered(cls)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings of a section.

        :raises InputError: one line for each mistake.
        """
        section = _section(cls)
        try:
            return getattr(section.model_validate({cls.SECTION: dict(values)}), cls.SECTION)
        except ValidationError as error:
            raise InputError(explain(error, section)) from error

    @classmethod
    def union(cls) -> Any:
        """Return the type of a field that takes any of the registered plug-ins."""
        kinds = cls.registered()
        members = tuple(Annotated[kind, Tag(cls._tag(name))] for name, kind in kinds.items())
        return Annotated[Union[members], Discriminator(cls._tag_of)]  # noqa: UP007  # made at run time

    @classmethod
    def _tag_of(cls, values: Any) -> str:
        """Return the name by which the union chooses."""
        if isinstance(values, Plugin):
            return cls._tag(values.name)
        return cls._tag(values.get(cls.KEY, cls.DEFAULT) if isinstance(values, Mapping) else cls.DEFAULT)

    @classmethod
    def _tag(cls, name: Any) -> str:
        return f'{TAG}{cls.KEY} {name}'


@cache
def _registered(kind: type[Plugin]) -> Mapping[str, Any]:
    def check(entry_point: str, found: Any) -> None:
        """Refuse what is no plug-in of the kind, or has the name of another."""
        require_subclass(entry_point, kind.GROUP, kind, found)
        if (name := tag_of(found)) != entry_point:
            raise InputError(
                f'{entry_point} of {kind.GROUP} must have the field {kind.KEY}: Literal[{entry_point!r}]; got {name!r}'
            )

    return plugins(kind.GROUP, check)


@cache
def _section(kind: type[Plugin]) -> type[Settings]:
    return create_model('_Section', __base__=Settings, **{kind.SECTION: (kind.union(), ...)})  # type: ignore[call-overload]
