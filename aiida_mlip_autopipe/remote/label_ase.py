"""Stage label with a calculator of ASE: many frames in one job, each labelled or set aside with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ase
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes, get_calculator_class

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reasons import FrameFailure, LabelError, Reason
from aiida_mlip_autopipe.engines.ase.labeller import AseLabeller
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote.inputs import checked, read_frames
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.science.labeller import Labeller
from aiida_mlip_autopipe.science.quarantine import label_report, quarantined, without_outliers


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the labelled and the quarantined frames and return the counts and the reasons."""
    config = checked(AseLabeller, settings['settings'])
    level = {'code': 'ASE', 'code_version': ase.__version__, 'calculator': config.calculator, 'parameters': config.parameters}
    return label_frames(folder, config, partial(_calculator, config), level)


def label_frames(
    folder: Path, config: Labeller, calculator: Callable[[], Calculator], level: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the labelled and the quarantined frames of a job and return the counts and the reasons.

    :param calculator: gives one that nothing was calculated with yet.
    :param level: of theory: all that changes a label.
    """
    frames = read_frames(folder, 'frames')
    labelled: dict[int, Atoms] = {}
    failures: dict[int, FrameFailure] = {}
    for index, atoms in enumerate(frames):
        try:
            labelled[index] = _label(atoms, calculator(), config.force_cap, fingerprint_of(level))
        except LabelError as error:
            failures[index] = error.failure
    found = Frames.from_atoms(labelled.values())
    kept, outliers = without_outliers(list(labelled), found, config.outlier_zscore)
    failures |= outliers
    if kept:
        found.take(kept).save(folder / arrays_file('labelled'))
    if failures:
        quarantined(frames, failures).save(folder / arrays_file('quarantined'))
    return {**label_report(frames, failures, {fingerprint_of(level): dict(level)})}


def _calculator(config: AseLabeller) -> Calculator:
    kind = get_calculator_class(config.calculator)
    if unknown := sorted(set(config.parameters) - set(kind.default_parameters)):  # ASE takes any name and says nothing
        raise InputError(
            f'label.parameters: {config.calculator} does not know {unknown}; it knows {sorted(kind.default_parameters)}'
        )
    try:
        return kind(**config.parameters)
    except (TypeError, ValueError) as error:
        raise InputError(
            f'label.parameters: {config.parameters} do not fit the calculator {config.calculator}: {error}'
        ) from error


def _label(atoms: Atoms, calculator: Calculator, force_cap: float, fingerprint: str) -> Atoms:
    """Return the labelled frame; a calculator that gives no usable numbers is told by the reason."""
    try:
        calculator.calculate(atoms, ['energy', 'forces', 'stress'], all_changes)
    except (NotImplementedError, PropertyNotImplementedError, KeyError, ValueError) as error:
        raise LabelError(Reason.REFUSED, str(error)) from error
    label = Label(*(calculator.results.get(name) for name in ('energy', 'forces', 'stress')))
    if failure := label.failure(force_cap=force_cap):
        raise LabelError(failure.reason, failure.detail)
    return label.put_on(atoms, fingerprint=fingerprint)
