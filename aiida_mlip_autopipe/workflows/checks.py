"""Checks before anything is submitted: settings of processes, codes, pseudopotentials, entry points, daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiida import orm
from aiida.common.exceptions import EntryPointError, MultipleObjectsError, NotExistent
from aiida.engine import Process
from aiida.plugins import CalculationFactory, WorkflowFactory
from aiida_pseudo.groups.family import PseudoPotentialFamily
from pydantic import BaseModel, ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.base import explain
from aiida_mlip_autopipe.config.label import DFTConfig, JobOptions
from aiida_mlip_autopipe.config.pipeline import MLIPConfig


def settings_validator(model: type[BaseModel]) -> Callable[[orm.Dict | None, Any], str | None]:
    """Return a port validator that holds a `Dict` to a model of the config."""

    def validate(value: orm.Dict | None, _: Any) -> str | None:
        """Return what is wrong with the settings, or None."""
        if value is None:
            return None
        try:
            model.model_validate(value.get_dict())
        except ValidationError as error:
            return explain(error, model)
        return None

    return validate


def add_options_port(spec: Any) -> None:
    """Declare the input `options`, the resources of the jobs that a chain submits."""
    spec.input(
        'options',
        valid_type=orm.Dict,
        validator=settings_validator(JobOptions),
        default=lambda: orm.Dict(JobOptions().model_dump()),
        help='Resources of the jobs, as `JobOptions`: walltime in s.',
    )


def validate_config(value: orm.Dict | None, _: Any) -> str | None:
    """Return what is wrong with a whole configuration, in itself or in this profile, or None."""
    if value is None:
        return None
    try:
        check_profile(MLIPConfig.from_mapping(value.get_dict()))
    except InputError as error:
        return str(error)
    return None


def find_process(entry_point: str, field: str) -> type[Process]:
    """Return the CalcJob or WorkChain of an entry point.

    :param field: name of the field of the config that holds it, for the message.
    :raises InputError: neither group has it.
    """
    for factory in (CalculationFactory, WorkflowFactory):
        try:
            return factory(entry_point)
        except EntryPointError:
            continue
    raise InputError(
        f'{field}: got {entry_point!r}; no such entry point in aiida.calculations or aiida.workflows (verdi plugin list)'
    )


def find_code(label: str, field: str) -> orm.AbstractCode:
    """Return the code of a label.

    :raises InputError: no code, or several, have it.
    """
    try:
        return orm.load_code(label)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise InputError(f'{field}: got {label!r}; no such code in this profile (verdi code list): {error}') from error


def find_pseudos(family: str, elements: Sequence[str]) -> tuple[dict[str, orm.Data], str]:
    """Return the pseudopotentials of a family by element, and a sentence that says what is missing, or an empty one."""
    try:
        group = orm.load_group(family)
    except (NotExistent, MultipleObjectsError):
        known = [found.label for (found,) in orm.QueryBuilder().append(PseudoPotentialFamily).iterall()]
        return {}, f'label.pseudo_family: got {family!r}; installed families: {", ".join(known) or "none"} (aiida-pseudo list)'
    if not isinstance(group, PseudoPotentialFamily):
        return {}, f'label.pseudo_family: {family!r} is a group, but not a family of pseudopotentials'
    missing = sorted(set(elements) - set(group.elements))
    if missing:
        return {}, f'label.pseudo_family: {family!r} has no pseudopotential for {missing}; it has {sorted(group.elements)}'
    return dict(group.pseudos), ''


def check_profile(config: MLIPConfig) -> None:
    """Check that this profile has what the configuration names.

    :raises InputError: one line for each thing that is missing.
    """
    problems = []
    for find, name, field in (
        (find_process, config.label.labeller, 'label.labeller'),
        (find_process, config.train.trainer, 'train.trainer'),
        (find_process, config.explore.explorer, 'explore.explorer'),
        (find_code, config.label.code, 'label.code'),
        (find_code, config.worker.code, 'worker.code'),
    ):
        try:
            find(name, field)
        except InputError as error:
            problems.append(str(error))
    if isinstance(config.label, DFTConfig):
        _, problem = find_pseudos(config.label.pseudo_family, config.system.elements)
        problems.extend([problem] if problem else [])
    if problems:
        raise InputError('\n'.join(problems))
