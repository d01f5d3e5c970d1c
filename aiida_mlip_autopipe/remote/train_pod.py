"""Stage train with POD: a potential with its active set out of labelled frames."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from aiida_mlip_autopipe.common.engines import POD
from aiida_mlip_autopipe.common.errors import FitError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.config.train import TrainingConfig
from aiida_mlip_autopipe.formats.pod import ACTIVE_SET, grade_lines, pair_lines
from aiida_mlip_autopipe.remote import engine
from aiida_mlip_autopipe.remote.inputs import checked, read_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, write_record
from aiida_mlip_autopipe.science.pod.fit import PodFit, PodSettings


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the potential and return what the fit says of itself."""
    config = checked(TrainingConfig, settings['settings'])
    elements = tuple(settings['elements'])
    frames, isolated = read_frames(folder, 'frames'), read_frames(folder, 'references')
    references = _reference_energies(isolated, elements)
    fingerprint = _one_fingerprint(frames, isolated)
    fit = engine.fit(frames, references, _pod_settings(config, elements, settings['seed']), potential_folder(folder))
    record = PotentialRecord(
        engine=POD,
        elements=elements,
        cutoff=fit.cutoff,
        pair_lines=tuple(pair_lines(elements, fit.core)),
        grade_lines=tuple(grade_lines(elements)),
        reference_energies=references,
        fingerprint=fingerprint,
        active_set=ACTIVE_SET,
    )
    write_record(folder, record)
    return _report(fit, len(frames), references)


def _pod_settings(config: TrainingConfig, elements: tuple[str, ...], seed: int) -> PodSettings:
    return PodSettings(
        elements=elements,
        cutoff=config.cutoff,
        basis=config.basis,
        energy_weight=config.energy_weight,
        force_weight=config.force_weight,
        stress_weight=config.stress_weight,
        ridge=None if config.ridge == 'auto' else config.ridge,
        core=config.core_repulsion,
        seed=seed,
        n_predictions=config.checks.compared_frames,
    )


def _reference_energies(isolated: Frames, elements: tuple[str, ...]) -> dict[str, float]:
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


def _report(fit: PodFit, n_frames: int, references: dict[str, float]) -> dict[str, Any]:
    errors = fit.errors
    return {
        'engine': POD,
        'n_frames': n_frames,
        'basis': fit.basis,
        'n_coefficients': len(fit.coefficients),
        'n_rows': fit.n_rows,
        'ridge': fit.ridge,
        'ridge_groups': fit.ridge_groups,
        'ridge_scores': [[ridge, score] for ridge, score in fit.ridge_scores.items()],
        'training_errors': {'energy_rmse': errors.energy, 'force_rmse': errors.force}
        | ({} if errors.stress is None else {'stress_rmse': errors.stress}),
        'shortest_distance': fit.shortest,
        'core': dataclasses.asdict(fit.core) if fit.core is not None else None,
        'gamma_train_max': fit.gamma_train_max,
        'active_atoms': fit.active_atoms,
        'committee_members': fit.members,
        'core_tolerance': fit.core_tolerance,
        'reference_energies': references,
        'seconds': fit.seconds,
    }
