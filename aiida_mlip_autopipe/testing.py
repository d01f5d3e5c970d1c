"""Conformance tests for authors of plug-ins: each function raises an `AssertionError` with a sentence where something is wrong.

They need no profile of AiiDA, but for :func:`conforming_process`, which looks at the ports of a process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.entry_points import full_name, registered
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.plugin import Plugin
from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.engines.lammps.engine import engine_of
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.remote import worker
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential
from aiida_mlip_autopipe.science.checks.training import AGREEMENT, GAMMA_TOLERANCE
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.generate.settings import strategies
from aiida_mlip_autopipe.science.generate.strategy import Kind
from aiida_mlip_autopipe.science.labeller import Labeller
from aiida_mlip_autopipe.science.metrics import label_errors
from aiida_mlip_autopipe.science.trainer import Trainer

PORTS: Final[Mapping[type[Plugin], tuple[set[str], set[str]]]] = {
    Labeller: ({'code', 'frames', 'settings'}, {'labelled', 'report'}),
    Trainer: ({'code', 'frames', 'elements', 'settings', 'seed'}, {'potential', 'report'}),
    Explorer: (
        {'code', 'potential', 'starts', 'temperature', 'settings', 'seed', 'round'},
        {'candidates', 'candidate_grades', 'report'},
    ),
}
"""Inputs and outputs that the process of a plug-in must have."""

ZERO: Final = 1e-5
"""Errors below this (eV/atom, eV/Å) are compared as if they were this large."""


def conforming_settings(kind: type[Settings], values: Mapping[str, Any]) -> None:
    """Check that settings say what each field means, refuse unknown keys and survive being stored.

    :param values: of the fields, as a user writes them.
    """
    silent = [name for name, field in kind.model_fields.items() if not field.description and not _has_settings(field.annotation)]
    assert not silent, f'{kind.__name__}: fields without a description, which gives the unit: {silent}'
    settings = kind.model_validate(values)
    assert kind.model_validate(settings.model_dump(mode='json')) == settings, f'{kind.__name__} changes when it is stored'
    try:
        kind.model_validate({**values, 'no_such_key': 1})
    except ValueError:
        return
    raise AssertionError(f'{kind.__name__} takes a key that it does not know')


def conforming_plugin(kind: type[Plugin], name: str, values: Mapping[str, Any]) -> None:
    """Check that a labeller, trainer or explorer is found by its entry point, with settings that conform.

    :param kind: `Labeller`, `Trainer` or `Explorer`.
    :param values: of its section, as a user writes them.
    """
    assert name in kind.registered(), f'{name} is no entry point of {kind.GROUP}, or cannot be imported here'
    found = kind.registered()[name]
    conforming_settings(found, values)
    assert kind.of({kind.KEY: name, **values}).name == name
    if issubclass(found, Trainer):
        engine_of(found.ENGINE)
        assert found.EXPLORER in Explorer.registered(), f'{name}: EXPLORER {found.EXPLORER} is not registered'


def conforming_process(kind: type[Plugin], name: str) -> None:
    """Check that there is a process of the same entry point, with the ports that the loop uses."""
    from aiida_mlip_autopipe.workflows.processes import find_process  # noqa: PLC0415  # loads AiiDA

    spec = find_process(name, kind.KEY).spec()
    for wanted, there, what in zip(PORTS[kind], (spec.inputs, spec.outputs), ('inputs', 'outputs'), strict=True):
        assert not (missing := sorted(wanted - set(there))), f'{name}: {what} {missing} are missing'
    strange = [port for port, found in spec.inputs.items() if found.required and port not in {*PORTS[kind][0], 'metadata'}]
    known = {'worker_code', 'pseudos', 'facts'} if hasattr(find_process(name, kind.KEY), 'named_nodes') else {'worker_code'}
    assert not set(strange) - known, f'{name}: the loop does not know the required inputs {strange}'


def conforming_strategy(name: str, parent: Atoms, values: Mapping[str, Any]) -> list[Atoms]:
    """Check a strategy that makes structures of a parent, and return what it made.

    :param name: of its section.
    :param parent: a crystal.
    """
    assert name in strategies(), f'{name} is no strategy, or cannot be imported here'
    kind = strategies()[name]
    conforming_settings(kind, values)
    assert kind.KIND in (Kind.FIXED, Kind.DRAWN), f'{name}: {kind.KIND} takes no parent'
    before = parent.copy()
    made, again = ([atoms.copy() for atoms in kind.model_validate(values)(parent.copy(), np.random.default_rng(3))] for _ in '12')
    assert made, f'{name} makes nothing'
    assert made == again, f'{name}: the same seed gives other structures'
    assert parent == before, f'{name} changes its parent'
    for atoms in made:
        config_type = atoms.info.get('config_type')
        assert kind.CONFIG_TYPES is None or config_type in kind.CONFIG_TYPES, f'{name}: {config_type!r} is not its config_type'
        json.loads(atoms.info['origin'])
    return made


def conforming_labeller(name: str, frames: Frames, values: Mapping[str, Any], folder: Path) -> Frames:
    """Check the stage of `mlip-worker` that labels, and return the labelled frames.

    :param name: entry point of the stage.
    :param folder: empty.
    """
    frames.save(folder / files.arrays_file('frames'))
    report = _report_of(name, {'settings': dict(values)}, folder)
    labelled = Frames.load(folder / files.arrays_file('labelled'))
    assert labelled.labelled.all(), f'{name}: frames without a label among the labelled'
    assert labelled.has_stress.all(), f'{name}: labels without a stress'
    assert set(labelled.uid.tolist()) <= set(frames.uid.tolist()), f'{name}: frames that nobody asked for'
    assert set(labelled.fingerprint.tolist()) == set(report['levels_of_theory']), f'{name}: a level of theory is not reported'
    assert report['n_frames'] == len(frames) == len(labelled) + report['n_failed'], f'{name}: frames are lost'
    return labelled


def conforming_trainer(
    name: str, frames: Frames, elements: Sequence[str], values: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Check the stage of `mlip-worker` that trains: LAMMPS has its training errors, and no training atom a large grade.

    :param name: entry point of the stage.
    :param frames: labelled, of two atoms or more.
    :param folder: empty; the potential lies in it afterwards.
    :return: the report.
    """
    frames.save(folder / files.arrays_file('frames'))
    report = _report_of(name, {'settings': dict(values), 'elements': list(elements), 'seed': 0}, folder)
    potential, place = read_potential(folder), potential_folder(folder)
    assert potential.elements == tuple(elements), f'{name}: elements {potential.elements} in place of {tuple(elements)}'
    assert potential.has_grade, f'{name}: the potential has no grade, so that no MD can be watched'
    found = isolated(partial(evaluate_frames, frames, potential), place)
    errors = label_errors(frames, found.energy, found.forces, None)
    for key, ours in (('energy_rmse', errors.energy_rmse), ('force_rmse', errors.force_rmse)):
        theirs = report['training_errors'][key]
        assert abs(ours - theirs) <= AGREEMENT * max(theirs, ZERO), f'{name}: {key} is {theirs:g}, in LAMMPS {ours:g}'
    assert found.gamma is not None
    assert 0 < found.gamma.max() <= GAMMA_TOLERANCE, f'{name}: the grade of a training atom is {found.gamma.max():g}'
    return report


def _report_of(name: str, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    assert full_name(name) in registered(worker.GROUP), f'{name} is no entry point of {worker.GROUP}'
    (folder / files.SETTINGS).write_text(json.dumps(settings), encoding='utf-8')
    status = worker.run_stage(name, folder)
    assert status == 0, f'{name}: {(folder / files.ERROR).read_text(encoding="utf-8")}'
    report: dict[str, Any] = json.loads((folder / files.REPORT).read_text(encoding='utf-8'))
    return report


def _has_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)
