"""The strict base of all settings, and how a mistake in them is told: field, value and what is allowed."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from ase.data import atomic_numbers
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from aiida_mlip_autopipe.common.names import nearest_name

TAG = 'plug-in '
"""Before key and name of a plug-in, where a union chooses among them, so that the place of a mistake tells them from keys."""

WHOLE = 'the configuration'
"""What a mistake is said to be in when it is in no single field."""

UNION_MEMBER = re.compile(r'float|int|bool|str|(literal|constrained-\w+|function-\w+)\b.*')
"""What pydantic puts at the end of a place when no member of a union of plain types fits: not a key of the user."""

KEY_MARK = '[key]'
"""What pydantic puts at the end of a place when the key of a mapping is wrong, and not its value."""


class Settings(BaseModel):
    """Settings that refuse unknown keys and change after they were checked."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False, validate_default=True)

    GONE: ClassVar[Mapping[str, str]] = {}
    """Keys of an earlier form of the section, each with what to do in its place."""

    @field_validator('*', mode='before')
    @classmethod
    def check_switch(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `yes`, `no`, `true` and `false` where a number is wanted; pydantic would take them for 1 and 0."""
        name = info.field_name
        if isinstance(value, bool) and name is not None and cls.model_fields[name].annotation is not bool:
            raise ValueError('a number or a text is wanted here, not a yes or no')
        return value


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
    return '\n'.join(_explain_one(mistake, model) for mistake in _merged(error.errors(include_url=False)))


def _merged(mistakes: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the mistakes, those that the members of one union report about one value as a single one."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    every = list(mistakes)
    for mistake in every:
        place, message = mistake['loc'], str(mistake['msg'])
        if mistake['type'] == 'too_short' and any(other['loc'][:-1][: len(place)] == place for other in every):
            continue  # members that are wrong were not counted
        if not place or not UNION_MEMBER.fullmatch(str(place[-1])):
            merged[place] = dict(mistake)
        elif place[:-1] in merged:
            merged[place[:-1]]['msg'] += f' or {message.removeprefix("Input should be ")}'
        else:
            merged[place[:-1]] = {**mistake, 'loc': place[:-1]}
    return list(merged.values())


def _explain_one(mistake: dict[str, Any], model: type[BaseModel]) -> str:
    place = mistake['loc']
    field = '.'.join(str(part) for part in place if not _is_tag(part)) or WHOLE
    explanation = _EXPLANATIONS.get(mistake['type'], _wrong_value)
    return explanation(field, mistake, model)


def _unknown_key(field: str, mistake: dict[str, Any], model: type[BaseModel]) -> str:
    place = mistake['loc']
    owners = _models_at(model, place[:-1])
    for owner in owners:
        if issubclass(owner, Settings) and place[-1] in owner.GONE:
            return f'{field}: this key is gone; {owner.GONE[place[-1]]}'
    allowed = list(dict.fromkeys(name for owner in owners for name in owner.model_fields))
    return f'{field}: unknown key; {_hint(place[-1], allowed)}allowed here: {", ".join(allowed)}'


def _hint(value: Any, allowed: Iterable[str]) -> str:
    """Return the question whether the nearest of the allowed names was meant, or ''."""
    near = nearest_name(str(value), allowed)
    return f'did you mean {near!r}? ' if near else ''


def _unknown_name(field: str, mistake: dict[str, Any], model: type[BaseModel]) -> str:
    allowed = re.findall(r"'([^']*)'", str(mistake['ctx']['expected']))
    hint = _hint(mistake['input'], allowed).strip()
    return f'{_wrong_value(field, mistake, model)}{"; " if hint else ""}{hint}'


def _missing_key(field: str, mistake: dict[str, Any], model: type[BaseModel]) -> str:
    return f'{field}: missing; this key is required'


def _no_mapping(field: str, mistake: dict[str, Any], model: type[BaseModel]) -> str:
    return f'{field}: got {mistake["input"]!r}; it must be a mapping of keys and values'


def _unknown_plugin(field: str, mistake: dict[str, Any], model: type[BaseModel]) -> str:
    key, name = mistake['ctx']['tag'].removeprefix(TAG).split(' ', 1)
    known = re.findall(f"'{TAG}{key} ([^']*)'", str(mistake['ctx']['expected_tags']))
    return f'{field}.{key}: got {name!r}; {_hint(name, known)}registered here: {", ".join(known)}'


def _wrong_value(field: str, mistake: dict[str, Any], model: type[BaseModel]) -> str:
    message = str(mistake['msg']).removeprefix('Value error, ').removeprefix('Assertion failed, ')
    message = message.replace('Tuple should', 'List should').replace('valid tuple', 'valid list')  # YAML knows lists alone
    if mistake['type'] != 'value_error' or not isinstance(mistake['input'], dict):
        return f'{field}: got {mistake["input"]!r}; {message[:1].lower()}{message[1:]}{_unit_of(model, mistake["loc"])}'
    if field == WHOLE:
        return message
    known = {name for owner in _models_at(model, mistake['loc']) for name in owner.model_fields}
    return f'{field}{"." if re.split(r"[ :]", message)[0] in known else ": "}{message}'


_EXPLANATIONS = {
    'extra_forbidden': _unknown_key,
    'literal_error': _unknown_name,
    'missing': _missing_key,
    'model_type': _no_mapping,
    'union_tag_invalid': _unknown_plugin,
}
"""How to tell each kind of mistake, by pydantic's name of it."""


def _is_tag(part: Any) -> bool:
    """Whether a part of a place is not a key but a mark of pydantic's, such as the member of a union that it chose."""
    return part == KEY_MARK or str(part).startswith(TAG)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that the annotation of a field names, the members of a union one by one."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in models_in(argument)]


def _models_at(model: type[BaseModel], place: tuple[Any, ...]) -> list[type[BaseModel]]:
    found = [model]
    for part in place:
        if _is_tag(part):
            found = [member for member in found if tag_of(member) in (str(part).rpartition(' ')[2], None)][:1]
            continue
        annotations = [member.model_fields[part].annotation for member in found if part in member.model_fields]
        found = [inner for annotation in annotations for inner in models_in(annotation)] or found
    return found


def tag_of(model: type[BaseModel]) -> str | None:
    """Return the one text that a field of the model must hold, by which a union chooses it."""
    for field in model.model_fields.values():
        texts = typing.get_args(field.annotation)
        if typing.get_origin(field.annotation) is typing.Literal and len(texts) == 1:
            return str(texts[0])
    return None


def _unit_of(model: type[BaseModel], place: tuple[Any, ...]) -> str:
    names = [part for part in place if isinstance(part, str) and not _is_tag(part)]
    for name in reversed(names):  # the value of a mapping has the unit of the field that holds the mapping
        for owner in _models_at(model, place[: place.index(name)]):
            field = owner.model_fields.get(name)
            if field is not None and field.description:
                return f' ({field.description})'
    return ''
