"""The edge: what a configuration names, found in this profile and on this disk, once, as the inputs of a run.

After it nothing is read from disk and nothing is looked up by label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.engine import CalcJob, Process

from aiida_mlip_autopipe.calculations.bases import bases_of
from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.engines.ace.explorer import LammpsPace
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.engines.lammps.explorer import LammpsMd
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.trainer import Trainer
from aiida_mlip_autopipe.workflows.processes import LAMMPS_RAW, find_process
from aiida_mlip_autopipe.workflows.programs import ask_lmp, ask_worker
from aiida_mlip_autopipe.workflows.pseudos import cutoff_warnings

MODEL_EXTRA: Final = 'mlip_autopipe_model_sha256'
MODEL_SUFFIXES: Final = ('.model', '.pt', '.pth')

CODES: Final = {
    'worker': ('worker', 'code'),
    'label': ('label', 'code'),
    'train': ('train', 'code'),
    'explore': ('explore', 'code'),
    'lammps': ('properties', 'lammps_code'),
}
"""Section and key of the configuration that name each code of a run; `lammps` is an `lmp` for aiida-lammps."""


def code_sections(codes: Mapping[str, orm.AbstractCode | str]) -> dict[str, dict[str, str]]:
    """Return the sections of the configuration that codes give.

    :param codes: or their labels, by the names of :data:`CODES`.
    :raises InputError: a name that is none of them.
    """
    sections: dict[str, dict[str, str]] = {}
    for name, code in codes.items():
        if name not in CODES:
            raise InputError(f'codes: got {name!r}; must be one of {", ".join(CODES)}')
        section, key = CODES[name]
        sections[section] = {key: code if isinstance(code, str) else code.full_label}
    return sections


def find_code(label: str, field: str) -> orm.AbstractCode:
    """Return the code of a label.

    :raises InputError: no code, or several, have it.
    """
    try:
        return orm.load_code(label)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise InputError(f'{field}: got {label!r}; no such code in this profile (verdi code list): {error}') from error


def find_stage_code(section: Trainer | Explorer, worker: str) -> orm.AbstractCode:
    """Return the code that the trainer or the explorer of a section runs: its own, or `mlip-worker` where that is its program.

    :param worker: label of the code of `mlip-worker`.
    :raises InputError: the process or the code does not exist, or a program of its own has no code.
    """
    field = f'{section.SECTION}.code'
    found = find_process(section.name, f'{section.SECTION}.{section.KEY}')
    if section.code is not None:
        code = find_code(section.code, field)
        _check_program(code, found, section.name, field)
        return code
    if _has_own_program(found):
        raise InputError(
            f'{field}: missing; {section.name} runs a program of its own, not mlip-worker: give the label of its code '
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
    if explores and isinstance(config.explore, LammpsPace):
        unknown += ask_lmp(find_stage_code(config.explore, config.worker.code), 'explore.code')
    if explores and isinstance(config.explore, LammpsMd) and config.explore.code is not None:
        unknown += ask_worker(find_stage_code(config.explore, config.worker.code), 'explore.code')
    return unknown


def warnings_of(config: MLIPConfig, inputs: Mapping[str, Any]) -> list[str]:
    """Return sentences on settings that are allowed but seldom wise.

    :param inputs: what :func:`run_inputs` found for this configuration.
    """
    sentences = [*config.explore.warnings, *check_engine(config)]
    if isinstance(config.label, DFTConfig):
        sentences += cutoff_warnings(config.label, inputs['label']['facts'].get_dict())
    return sentences


def label_nodes(config: MLIPConfig) -> dict[str, Any]:
    """Return what the labeller needs beside code, frames and settings: what its process finds for these elements.

    :raises InputError: the process does not exist, or something is missing in the profile.
    """
    labeller = find_process(config.label.name, 'label.labeller')
    find = getattr(labeller, 'named_nodes', None)
    return {} if find is None else find(config.label, config.system.elements)


def surrogate_model(section: SelectionConfig) -> orm.SinglefileData | None:
    """Return the model of the surrogate where it is a file on this machine; the same file gives the same node again.

    :raises InputError: the name looks like a file on this machine, and there is none.
    """
    if section.model is None or not Path(section.model).is_file():
        if section.model is not None and section.model.endswith(MODEL_SUFFIXES) and not Path(section.model).is_absolute():
            raise InputError(
                f'select.model: got {section.model!r}; there is no such file beside the configuration, and a path on the compute '
                'machine must be absolute'
            )
        return None
    path = Path(section.model).resolve()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = orm.QueryBuilder().append(orm.SinglefileData, filters={f'extras.{MODEL_EXTRA}': digest}).first(flat=True)
    if known is not None:
        return known
    node = orm.SinglefileData(path)
    node.base.extras.set(MODEL_EXTRA, digest)
    return node


def run_inputs(config: MLIPConfig, *, explores: bool = True) -> dict[str, Any]:
    """Return the inputs of a run: the configuration, and all that it names as nodes. Nothing is stored.

    :param explores: whether the section explore counts.
    :raises InputError: one line for each thing that is missing in this profile or on this disk.
    """
    worker, generate = config.worker.code, config.generate.model_dump(mode='json')
    found = _all_found(
        {
            'first': config.require_first_round,
            'label_inputs': partial(label_nodes, config),
            'train': partial(find_stage_code, config.train, worker),
            **({'explore': partial(find_stage_code, config.explore, worker)} if explores else {}),
            'label': partial(find_code, config.label.code, 'label.code'),
            'worker': partial(find_code, worker, 'worker.code'),
            'model': partial(surrogate_model, config.select),
            'engine': partial(check_engine, config, explores=explores),
            'lammps': partial(find_lammps_code, config),
            'bases': partial(bases_of, generate),
        }
    )
    codes = {name: found[name] for name in CODES if found.get(name) is not None}
    model = {'model': found['model']} if found['model'] is not None else {}
    return {
        'config': orm.Dict(config.to_mapping()),
        'codes': codes,
        'generate': {'bases': found['bases']},
        'select': model,
        'label': found['label_inputs'],
    }


def _all_found(looks: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Return what each look finds.

    :raises InputError: one line for each thing that is missing.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, look in looks.items():
        try:
            found[name] = look()
        except InputError as error:
            problems.extend([str(error)] if str(error) not in problems else [])
    if problems:
        raise InputError('\n'.join(problems))
    return found
