"""Stage evaluate: what a potential predicts for frames, its errors where there are labels, and its grade for every atom."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.engines.lammps.descriptors import posterior_spread
from aiida_mlip_autopipe.engines.lammps.evaluate import Evaluation, evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote.inputs import read_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential
from aiida_mlip_autopipe.science.calibration import energy_calibration, force_calibration
from aiida_mlip_autopipe.science.ledger import negative_ledger
from aiida_mlip_autopipe.science.linear.posterior import POSTERIOR, Posterior, Spread
from aiida_mlip_autopipe.science.md.findings import CONFIG_TYPE as MD
from aiida_mlip_autopipe.science.metrics import caution, group_errors, label_errors
from aiida_mlip_autopipe.science.testset import compositions

SPREAD = 'spread'
"""Setting: whether the posterior of the potential, where it has one, gives the spread of each prediction."""

SEED = 'seed'
"""Setting: seed of the resampling that the intervals come from, 0 unless told otherwise."""

ALL = 'all'
"""Name of the group of all frames, where a group is needed."""


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the predictions and return the errors with their intervals, in total and by group, and what the potential states."""
    wants_spread, seed = _wants_spread(settings), _seed(settings)
    frames, files, potential = read_frames(folder, 'frames'), potential_folder(folder), read_potential(folder)
    found = isolated(partial(evaluate_frames, frames, potential), files)
    has_spread = wants_spread and (files / POSTERIOR).exists()
    spread = isolated(partial(posterior_spread, frames, potential, files), files) if has_spread else None
    columns: dict[str, FloatArray] = {name: column for name, column in vars(found).items() if column is not None}
    if spread is not None:
        columns |= {'energy_spread': spread.energy, 'force_spread': spread.forces}
    with (folder / arrays_file('predictions')).open('wb') as handle:
        np.savez(handle, **columns)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`
    errors = _errors(frames, found, seed) if frames.labelled.any() else None
    return {
        'n_frames': len(frames),
        'errors': errors,
        'groups': _groups(frames, found, seed) if errors is not None else None,
        'caution': caution(errors['n_frames']) if errors is not None else '',
        'gamma_max': None if found.gamma is None else float(np.nan_to_num(found.gamma, posinf=np.finfo(float).max).max()),
        'force_spread_max': float(spread.forces.max()) if spread is not None else None,
        'calibration': None,
        'ledger': None,
        **(_stated(frames, found, spread, files) if spread is not None and errors is not None else {}),
    }


def _errors(frames: Frames, found: Evaluation, seed: int) -> dict[str, Any]:
    """Return the errors of all labelled frames, and the intervals of energy and force."""
    errors = label_errors(frames, found.energy, found.forces, found.stress)
    whole = group_errors(frames, found.energy, found.forces, groups=[ALL] * len(frames), seed=seed)[ALL]
    return {
        **dataclasses.asdict(errors),
        'energy_interval': whole.energy_interval,
        'force_interval': whole.force_interval,
        'n_lineages': whole.n_lineages,
    }


def _groups(frames: Frames, found: Evaluation, seed: int) -> dict[str, dict[str, Any]]:
    """Return the errors by config_type, by composition, and of what was made apart from what came from MD."""
    kinds = frames.config_type.tolist()
    names = {
        'config_type': kinds,
        'composition': compositions(frames),
        'part': [MD if kind == MD else 'made' for kind in kinds],
    }
    return {
        name: {
            group: dataclasses.asdict(errors)
            for group, errors in group_errors(frames, found.energy, found.forces, groups=groups, seed=seed).items()
        }
        for name, groups in names.items()
    }


def _stated(frames: Frames, found: Evaluation, spread: Spread, files: Path) -> dict[str, Any]:
    """Return the errors of energies and forces in units of what the potential states of them, and which frames it knew."""
    noise = Posterior.load(files).noise
    energy = energy_calibration(frames, found.energy, spread.energy, noise['energy'])
    force = force_calibration(frames, found.forces, spread.forces, noise['force'])
    ledger = negative_ledger(frames, found.forces, spread.forces, noise['force'])
    return {
        'calibration': {'energy': dataclasses.asdict(energy), 'force': dataclasses.asdict(force)},
        'ledger': [dataclasses.asdict(row) for row in ledger],
    }


def _wants_spread(settings: dict[str, Any]) -> bool:
    """Return the setting, true unless told otherwise; a stage that is run by hand may have no settings at all."""
    values = settings.get('settings', {})
    if unknown := set(values) - {SPREAD, SEED}:
        raise InputError(f'{sorted(unknown)[0]}: unknown key; allowed here: {SPREAD}, {SEED}')
    wanted = values.get(SPREAD, True)
    if not isinstance(wanted, bool):
        raise InputError(f'{SPREAD}: got {wanted!r}; must be true or false')
    return wanted


def _seed(settings: dict[str, Any]) -> int:
    seed = settings.get('settings', {}).get(SEED, 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f'{SEED}: got {seed!r}; must be a whole number from 0')
    return seed
