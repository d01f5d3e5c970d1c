"""The section `train`: the settings of the trainer that it names, out of those that are registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, Tag, ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.settings import TAG, Settings, explain
from aiida_mlip_autopipe.science.trainer import DEFAULT, Trainer, trainers

GONE = {'ace': 'its key functions stands in train itself', 'pacemaker': 'its keys stand in train itself'}
"""Sections of an earlier form of the configuration."""


def _tag(values: Any) -> str:
    """Return the name by which the union chooses."""
    return TAG + str(values.get('trainer', DEFAULT) if isinstance(values, Mapping) else getattr(values, 'trainer', ''))


if TYPE_CHECKING:
    AnyTrainer = Trainer
else:
    AnyTrainer = Annotated[
        Union[tuple(Annotated[kind, Tag(TAG + name)] for name, kind in trainers().items())],  # noqa: UP007  # made at run time
        Discriminator(_tag),
    ]


class _Section(Settings):
    """The section alone."""

    train: AnyTrainer


def training(values: Mapping[str, Any]) -> Trainer:
    """Return the settings of the section `train`.

    :raises InputError: one line for each mistake.
    """
    try:
        return _Section.model_validate({'train': refuse_old_names(dict(values))}).train
    except ValidationError as error:
        raise InputError(explain(error, _Section)) from error


def refuse_old_names(values: Any) -> Any:
    """Return the section as it is.

    :raises InputError: it has a key of an earlier form.
    """
    if isinstance(values, Mapping) and (old := [name for name in GONE if name in values]):
        raise InputError(f'train.{old[0]}: this key is gone; {GONE[old[0]]}')
    return values
