"""The strict base of all settings, and how a mistake in them is told: field, value and what is allowed."""

from __future__ import annotations

import difflib
import types
import typing
from typing import Annotated, Any

from ase.data import atomic_numbers
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError


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
    place = tuple(part for part in mistake['loc'] if not str(part).startswith('mlip_autopipe.') and part != 'external')
    field = '.'.join(str(part) for part in place) or 'the configuration'
    if mistake['type'] == 'extra_forbidden':
        allowed = _fields_at(model, place[:-1])
        near = difflib.get_close_matches(str(place[-1]), allowed, n=1)
        hint = f'did you mean {near[0]!r}? ' if near else ''
        return f'{field}: unknown key; {hint}allowed here: {", ".join(allowed)}'
    if mistake['type'] == 'missing':
        return f'{field}: missing; this key is required'
    message = str(mistake['msg']).removeprefix('Value error, ').removeprefix('Assertion failed, ')
    if mistake['type'] == 'value_error' and isinstance(mistake['input'], dict):
        return f'{field}: {message}'
    return f'{field}: got {mistake["input"]!r}; {message[:1].lower()}{message[1:]}{_unit_of(model, place)}'


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]


def _models_at(model: type[BaseModel], place: tuple[Any, ...]) -> list[type[BaseModel]]:
    found = [model]
    for part in place:
        annotations = [m.model_fields[part].annotation for m in found if part in m.model_fields]
        found = [inner for annotation in annotations for inner in _models_in(annotation)] or (found if not annotations else [])
    return found


def _fields_at(model: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    return list(dict.fromkeys(name for found in _models_at(model, place) for name in found.model_fields))


def _unit_of(model: type[BaseModel], place: tuple[Any, ...]) -> str:
    names = [part for part in place if isinstance(part, str)]
    if not names:
        return ''
    for owner in _models_at(model, tuple(place[: place.index(names[-1])])):
        field = owner.model_fields.get(names[-1])
        if field is not None and field.description:
            return f' ({field.description})'
    return ''
