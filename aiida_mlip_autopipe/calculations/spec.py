"""What the specifications of all processes share: rules for exit codes, the validator of settings, and job options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida import orm
from aiida.engine.processes.calcjobs.calcjob import CalcJobProcessSpec
from aiida.engine.processes.workchains.workchain import WorkChainSpec
from pydantic import BaseModel, ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.job_options import JobOptions
from aiida_mlip_autopipe.common.plugin import Plugin
from aiida_mlip_autopipe.common.settings import explain

FIRST_RUN_FAILURE = 400
"""Exit statuses below this one (contradictory inputs, output missing) are never served from the cache."""


class _BandedExitCodes:
    """Exit statuses are unique, and below 400 they are never served from the cache."""

    def exit_code(self, status: int, label: str, message: str, invalidates_cache: bool | None = None) -> None:
        """Declare an exit code.

        :raises ValueError: the status has another label already.
        """
        known = self.exit_codes.items()  # type: ignore[attr-defined]  # of the spec that this is mixed into
        if any(code.status == status and name != label for name, code in known):
            raise ValueError(f'exit status {status} already has a label, {label} needs its own')
        invalidates = status < FIRST_RUN_FAILURE if invalidates_cache is None else invalidates_cache
        super().exit_code(status, label, message, invalidates_cache=invalidates)  # type: ignore[misc]


class BandedCalcJobSpec(_BandedExitCodes, CalcJobProcessSpec):
    """Specification of a CalcJob."""


class BandedWorkChainSpec(_BandedExitCodes, WorkChainSpec):
    """Specification of a WorkChain."""


def set_job_defaults(spec: Any, *, parser: str, input_file: str, output_file: str) -> None:
    """Give the options of a CalcJob the defaults of this package: one process, and no packages of the daemon.

    AiiDA's daemon exports its `sys.path` as `PYTHONPATH`, and a job on its machine inherits it: a Python of another environment,
    such as a trainer's, would import our packages. The variable is emptied before the prepend texts of computer and code,
    which may set it.

    :param parser: entry point of the parser.
    :param input_file: name of the file that `verdi calcjob inputcat` shows.
    :param output_file: likewise of `outputcat`.
    """
    options = spec.inputs['metadata']['options']
    options['parser_name'].default = parser
    options['resources'].default = lambda: {'num_machines': 1, 'num_mpiprocs_per_machine': 1}
    options['withmpi'].default = False
    options['environment_variables'].default = lambda: {'PYTHONPATH': ''}
    options['input_filename'].default = input_file
    options['output_filename'].default = output_file


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


def plugin_validator(kind: type[Plugin]) -> Callable[[orm.Dict | None, Any], str | None]:
    """Return a port validator that holds a `Dict` to the settings of the plug-in that it names."""

    def validate(value: orm.Dict | None, _: Any) -> str | None:
        """Return what is wrong with the settings, or None."""
        if value is None:
            return None
        try:
            kind.of(value.get_dict())
        except InputError as error:
            return str(error)
        return None

    return validate


def job_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return AiiDA's `metadata.options` for settings of the kind `JobOptions`.

    :param options: `num_machines`, `mpi_processes`, `walltime` (s), `queue`, `account`; what is missing has its default.
    """
    asked = JobOptions.model_validate(options)
    scheduler = {'queue_name': asked.queue, 'account': asked.account}
    return {
        'resources': {
            'num_machines': asked.num_machines,
            'num_mpiprocs_per_machine': asked.mpi_processes,
        },
        'max_wallclock_seconds': asked.walltime,
        'withmpi': asked.num_machines * asked.mpi_processes > 1,
        **{name: value for name, value in scheduler.items() if value is not None},
    }


def add_options_port(spec: Any) -> None:
    """Declare the input `options`, the resources of the jobs that a chain submits."""
    spec.input(
        'options',
        valid_type=orm.Dict,
        validator=settings_validator(JobOptions),
        default=lambda: orm.Dict(JobOptions().model_dump()),
        help='Resources of the jobs, as `JobOptions`: walltime in s.',
    )


def add_labeller_port(spec: Any) -> None:
    """Declare the namespace `label`, for what a labeller needs beside code, frames and settings."""
    spec.input_namespace(
        'label',
        dynamic=True,
        required=False,
        valid_type=orm.Data,
        help='What the labeller needs beside code, frames and settings, such as pseudopotentials.',
    )
