"""Checks before anything is submitted: settings of processes, codes, pseudopotentials, entry points, daemon."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiida import orm
from aiida.common.exceptions import EntryPointError, MultipleObjectsError, NotExistent
from aiida.engine import CalcJob, Process
from aiida.plugins import CalculationFactory, WorkflowFactory

from aiida_mlip_autopipe.calculations.spec import settings_validator
from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.explore import InferenceConfig
from aiida_mlip_autopipe.config.label import DFTConfig, JobOptions
from aiida_mlip_autopipe.config.pipeline import LAMMPS_MD, LAMMPS_PACE, MLIPConfig
from aiida_mlip_autopipe.config.selection import SurrogateConfig
from aiida_mlip_autopipe.science.trainer import Trainer
from aiida_mlip_autopipe.workflows.programs import ask_lmp, ask_worker
from aiida_mlip_autopipe.workflows.pseudos import cutoff_warnings, find_family

MODEL_EXTRA: Final = 'mlip_autopipe_model_sha256'
MODEL_SUFFIXES: Final = ('.model', '.pt', '.pth')

LAMMPS_RAW: Final = 'lammps.raw'
"""Process of aiida-lammps that takes a script as it is; `lammps.base` writes its own, which knows no POD."""

PROCESS_FIELDS: Final = {'train': 'trainer', 'explore': 'explorer'}
"""Field of each section that holds the entry point of its process."""


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
    return _config_problem(value, explores=True)


def validate_one_shot(value: orm.Dict | None, _: Any) -> str | None:
    """Return what is wrong with the configuration of a run that does not explore, or None."""
    return _config_problem(value, explores=False)


def _config_problem(value: orm.Dict | None, *, explores: bool) -> str | None:
    if value is None:
        return None
    try:
        check_profile(MLIPConfig.from_mapping(value.get_dict()), explores=explores)
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


def find_stage_code(section: Trainer | InferenceConfig, worker: str) -> orm.AbstractCode:
    """Return the code that the trainer or the explorer of a section runs: its own, or `mlip-worker` where that is its program.

    :param worker: label of the code of `mlip-worker`.
    :raises InputError: the process or the code does not exist, or a program of its own has no code.
    """
    field, process = ('train', section.name) if isinstance(section, Trainer) else ('explore', section.explorer)
    found = find_process(process, f'{field}.{PROCESS_FIELDS[field]}')
    if section.code is not None:
        code = find_code(section.code, f'{field}.code')
        _check_program(code, found, process, f'{field}.code')
        return code
    if _has_own_program(found):
        raise InputError(
            f'{field}.code: missing; {process} runs a program of its own, not mlip-worker: give the label of its code '
            '(verdi code list)'
        )
    return find_code(worker, 'worker.code')


def _has_own_program(process: type[Process]) -> bool:
    return issubclass(process, CalcJob) and not issubclass(process, WorkerCalculation)


def _check_program(code: orm.AbstractCode, process: type[Process], name: str, field: str) -> None:
    """Refuse the code of another program where a process runs `mlip-worker`."""
    plugin = code.default_calc_job_plugin
    if plugin is None or not issubclass(process, WorkerCalculation) or not _has_own_program(find_process(plugin, field)):
        return
    raise InputError(
        f'{field}: got {code.full_label!r}, the program of {plugin}, but {name} runs mlip-worker: '
        f'leave {field} out, or choose {plugin} for the section'
    )


def find_lammps_code(config: MLIPConfig) -> orm.AbstractCode | None:
    """Return the code in which aiida-lammps runs the relaxations and the MD of the physics gate, or None where there is none.

    :raises InputError: the code that the configuration names does not exist, or aiida-lammps is missing.
    """
    if config.properties is None or config.properties.lammps_code is None:
        return None
    code = find_code(config.properties.lammps_code, 'properties.lammps_code')
    find_process(LAMMPS_RAW, 'properties.lammps_code: aiida-lammps')
    return code


def check_engine(config: MLIPConfig, *, explores: bool = True) -> tuple[str, ...]:
    """Return sentences on programs of which nobody can say from here whether they can run the potentials of ACE.

    :raises InputError: a program on this machine cannot.
    """
    if not config.train.MAY_LACK:
        return ()
    unknown = ask_worker(find_code(config.worker.code, 'worker.code'), 'worker.code')
    if explores and config.explore.explorer == LAMMPS_PACE:
        unknown += ask_lmp(find_stage_code(config.explore, config.worker.code), 'explore.code')
    if explores and config.explore.explorer == LAMMPS_MD and config.explore.code is not None:
        unknown += ask_worker(find_stage_code(config.explore, config.worker.code), 'explore.code')
    return unknown


def warnings_of(config: MLIPConfig) -> list[str]:
    """Return sentences on settings that are allowed but seldom wise; the profile was checked before."""
    sentences = [*config.explore.warnings, *check_engine(config)]
    if isinstance(config.label, DFTConfig):
        family = find_family(config.label, config.system.elements)
        sentences += cutoff_warnings(config.label, family, config.system.elements)
    return sentences


def surrogate_model(section: SurrogateConfig) -> orm.SinglefileData | None:
    """Return the stored model of the surrogate where it is a file on this machine; the same file gives the same node again."""
    if section.model is None or not Path(section.model).is_file():
        return None
    path = Path(section.model).resolve()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = orm.QueryBuilder().append(orm.SinglefileData, filters={f'extras.{MODEL_EXTRA}': digest}).first(flat=True)
    if known is not None:
        return known
    node = orm.SinglefileData(path).store()
    node.base.extras.set(MODEL_EXTRA, digest)
    return node


def check_surrogate_model(name: str | None) -> None:
    """Refuse a model that looks like a file on this machine and is none.

    :raises InputError: there is no such file.
    """
    if name is not None and name.endswith(MODEL_SUFFIXES) and not Path(name).is_absolute() and not Path(name).is_file():
        raise InputError(
            f'select.model: got {name!r}; there is no such file beside the configuration, and a path on the compute machine '
            'must be absolute'
        )


def check_profile(config: MLIPConfig, *, explores: bool = True) -> None:
    """Check that this profile has what the configuration names.

    :param explores: whether the section explore counts.
    :raises InputError: one line for each thing that is missing.
    """
    sections: list[Trainer | InferenceConfig] = [config.train, *([config.explore] if explores else [])]
    looks: list[Callable[[], object]] = [
        config.require_first_round,
        partial(find_process, config.label.labeller, 'label.labeller'),
        *(partial(find_stage_code, section, config.worker.code) for section in sections),
        partial(find_code, config.label.code, 'label.code'),
        partial(find_code, config.worker.code, 'worker.code'),
        partial(check_surrogate_model, config.select.model),
        partial(check_engine, config, explores=explores),
        partial(find_lammps_code, config),
    ]
    if isinstance(config.label, DFTConfig):
        looks.append(partial(find_family, config.label, config.system.elements))
    problems: list[str] = []
    for look in looks:
        try:
            look()
        except InputError as error:
            problems.extend([str(error)] if str(error) not in problems else [])
    if problems:
        raise InputError('\n'.join(problems))
