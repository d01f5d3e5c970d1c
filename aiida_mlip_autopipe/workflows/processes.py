"""The processes that plug-ins name by their entry points, and the inputs that a labeller gets."""

from __future__ import annotations

from typing import Any, Final

from aiida import orm
from aiida.common.exceptions import EntryPointError
from aiida.engine import Process, WorkChain
from aiida.plugins import CalculationFactory, WorkflowFactory

from aiida_mlip_autopipe.calculations.spec import job_options
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.frames import FramesData

LAMMPS_RAW: Final = 'lammps.raw'
"""Process of aiida-lammps that takes a script as it is; `lammps.base` writes its own, which knows no POD."""


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


def labelling(
    settings: orm.Dict, *, code: orm.AbstractCode, worker: orm.AbstractCode, frames: FramesData, link: str
) -> tuple[type[Process], dict[str, Any]]:
    """Return the process of a labeller with its inputs, but for what it named in the profile.

    :param settings: the section `label`.
    :param code: of the labeller.
    :param worker: of `mlip-worker`, for labellers that take one.
    :param link: label of the call.
    """
    process = find_process(settings['labeller'], 'label.labeller')
    metadata: dict[str, Any] = {'call_link_label': link}
    if not issubclass(process, WorkChain):
        metadata['options'] = job_options(settings['options'])
    helper = {'worker_code': worker} if 'worker_code' in process.spec().inputs else {}
    return process, {'code': code, 'frames': frames, 'settings': settings, 'metadata': metadata, **helper}
