"""The strict base of all settings, and how a mistake in them is told: field, value and what is allowed."""

from __future__ import annotations

import difflib
import types
import typing
from typing import Annotated, Any

from ase.data import atomic_numbers
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

EXTERNAL_TAG = 'external'
"""Name that pydantic gives to the member of a union which is none of the package's own."""


class Settings(BaseModel):
    """Settings that refuse unknown keys and change after they were checked."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False, validate_default=True)


def _known_element(symbol: str) -> str:
    if symbol not in atomic_numbers or symbol == 'X':
        raise ValueError('not the symbol of a chemical element')
    return symbol


Element = Annotated[str, AfterValidator(_known_element)]


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one line for each mistake: `field: got value; what is allowed`.

    :param error: what pydantic found.
    :param model: the model that was filled, for the names of its fields.
    """
    return '\n'.join(_explain_one(dict(mistake), model) for mistake in error.errors(include_url=False))


def _explain_one(mistake: dict[str, Any], model: type[BaseModel]) -> str:
    place = mistake['loc']
    owners = _models_at(model, place[:-1])
    field = '.'.join(str(part) for part in place if not _is_tag(part)) or 'the configuration'
    if mistake['type'] == 'extra_forbidden':
        allowed = list(dict.fromkeys(name for owner in owners for name in owner.model_fields))
        near = difflib.get_close_matches(str(place[-1]), allowed, n=1)
        hint = f'did you mean {near[0]!r}? ' if near else ''
        return f'{field}: unknown key; {hint}allowed here: {", ".join(allowed)}'
    if mistake['type'] == 'missing':
        return f'{field}: missing; this key is required'
    message = str(mistake['msg']).removeprefix('Value error, ').removeprefix('Assertion failed, ')
    if mistake['type'] == 'value_error' and isinstance(mistake['input'], dict):
        return message if field == 'the configuration' else f'{field}: {message}'
    return f'{field}: got {mistake["input"]!r}; {message[:1].lower()}{message[1:]}{_unit_of(model, place)}'


def _is_tag(part: Any) -> bool:
    """Whether a part of a place is not a key but the member of a union that pydantic chose."""
    return part == EXTERNAL_TAG or str(part).startswith('mlip_autopipe.')


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]


def _models_at(model: type[BaseModel], place: tuple[Any, ...]) -> list[type[BaseModel]]:
    found = [model]
    for part in place:
        if _is_tag(part):
            found = [member for member in found if _tag_of(member) in (part, None)][:1]
            continue
        annotations = [member.model_fields[part].annotation for member in found if part in member.model_fields]
        found = [inner for annotation in annotations for inner in _models_in(annotation)] or found
    return found


def _tag_of(model: type[BaseModel]) -> str | None:
    """Return the one text that a field of the model must hold, by which a union chooses it."""
    for field in model.model_fields.values():
        texts = typing.get_args(field.annotation)
        if typing.get_origin(field.annotation) is typing.Literal and len(texts) == 1:
            return str(texts[0])
    return None


def _unit_of(model: type[BaseModel], place: tuple[Any, ...]) -> str:
    names = [part for part in place if isinstance(part, str) and not _is_tag(part)]
    if not names:
        return ''
    for owner in _models_at(model, tuple(place[: place.index(names[-1])])):
        field = owner.model_fields.get(names[-1])
        if field is not None and field.description:
            return f' ({field.description})'
    return ''
