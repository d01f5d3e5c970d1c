"""What the linear trainers share: reading the training set, settings, and the report of a fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Generic, TypeVar

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.settings import tag_of
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote.inputs import read_frames
from aiida_mlip_autopipe.science.linear.fit import FitErrors
from aiida_mlip_autopipe.science.linear.search import FitReport
from aiida_mlip_autopipe.science.linear.trainer import LinearTrainer
from aiida_mlip_autopipe.science.trainer import Trainer

Asked = TypeVar('Asked', bound=LinearTrainer)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingInputs(Generic[Asked]):
    """What a linear trainer starts from.

    :param frames: labelled frames, without isolated atoms.
    :param references: eV, energy of the isolated atom of each element; empty where none were given.
    """

    config: Asked
    elements: tuple[str, ...]
    seed: int
    frames: Frames
    references: dict[str, float]
    fingerprint: str

    @property
    def shared(self) -> dict[str, Any]:
        """Settings that all linear fits have."""
        return self.config.fit_settings(self.elements, self.seed)


def read_inputs(settings: dict[str, Any], folder: Path, kind: type[Asked]) -> TrainingInputs[Asked]:
    """Return the inputs of a linear trainer.

    :param kind: of the trainer; settings of one that starts from its fit are taken, too.

    :raises InputError: a mistake in the settings.
    :raises FitError: an element without isolated atom where others have one, or labels of several levels of theory.
    """
    asked = Trainer.of(settings['settings'])
    config, elements = asked if isinstance(asked, kind) else asked.start, tuple(settings['elements'])
    if not isinstance(config, kind):
        raise InputError(f'train.trainer: got {asked.name!r}; this stage fits with {tag_of(kind)}')
    frames = read_frames(folder, 'frames')
    isolated = [read_frames(folder, 'references')] if (folder / arrays_file('references')).exists() else []
    return TrainingInputs(
        config=config,
        elements=elements,
        seed=settings['seed'],
        frames=frames,
        references=reference_energies(isolated[0], elements) if isolated else {},
        fingerprint=_one_fingerprint(frames, *isolated),
    )


def report_of(report: FitReport, inputs: TrainingInputs[Any]) -> dict[str, Any]:
    """Return the part of the report of a trainer that all linear fits have."""
    return {
        'n_frames': len(inputs.frames),
        'n_rows': report.n_rows,
        'ridge': report.ridge,
        'weights': report.weights,
        'noise': report.noise,
        'log_evidence': report.log_evidence,
        'n_determined': report.n_determined,
        'training_errors': _errors(report.errors),
        'held_out_errors': None if report.held_out is None else _errors(report.held_out),
        'held_out_groups': report.held_out_groups,
        'stress_offset': report.stress_offset,
        'core_tolerance': report.core_tolerance,
        'reference_energies': inputs.references,
    }


def _errors(errors: FitErrors) -> dict[str, float]:
    values = {'energy_rmse': errors.energy, 'force_rmse': errors.force}
    return values if errors.stress is None else values | {'stress_rmse': errors.stress}


def reference_energies(isolated: Frames, elements: tuple[str, ...]) -> dict[str, float]:
    """Return the energy of the isolated atom of each element, eV."""
    found = {isolated.symbols(i)[0]: float(isolated.energy[i]) for i in range(len(isolated)) if isolated.labelled[i]}
    missing = [element for element in elements if element not in found]
    if missing:
        raise FitError(f'no labelled isolated atom of {missing}; its energy is the zero of the energy scale')
    return {element: found[element] for element in elements}


def _one_fingerprint(*parts: Frames) -> str:
    found = sorted({text for part in parts for text in part.fingerprint.tolist()})
    if len(found) != 1:
        raise FitError(f'labels of {len(found)} levels of theory are never mixed in one fit: {found}')
    return found[0]
