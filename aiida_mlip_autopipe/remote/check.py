"""Stage check: what every potential must pass before anyone may use it, each check with its number."""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError, InstallationError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions, spread_indices
from aiida_mlip_autopipe.engines.lammps import nve
from aiida_mlip_autopipe.engines.lammps.evaluate import Evaluation, evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote.inputs import checked, read_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential
from aiida_mlip_autopipe.science.checks import agreement, stress, wall
from aiida_mlip_autopipe.science.checks.check import Check
from aiida_mlip_autopipe.science.checks.finding import Finding
from aiida_mlip_autopipe.science.checks.settings import ChecksConfig

LOADS = 'loads'


@dataclasses.dataclass(frozen=True)
class _Subject:
    """The potential under test: its training frames, and where its files lie; the grade is not needed here."""

    potential: LammpsPotential
    folder: Path
    frames: Frames
    config: ChecksConfig
    curves: dict[str, FloatArray] = dataclasses.field(default_factory=dict)


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the curves behind the checks and return the findings.

    :raises InputError: settings with a mistake, or frames that do not belong to the potential.
    :raises InstallationError: LAMMPS is missing, or lacks what the potential needs: that says nothing about the potential.
    """
    config = checked(ChecksConfig, settings['settings'])
    plain = dataclasses.replace(read_potential(folder), grade_lines=(), active_set=None)
    subject = _Subject(plain, potential_folder(folder), read_frames(folder, 'frames'), config)
    since = time.perf_counter()
    findings = _agreement(subject)
    if findings[0].passed:
        findings += [*_stress(subject), *_walls(subject), *_conservation(subject, 1 + abs(settings['seed']))]
        findings += [found for name, check in config.others.items() for found in _other(subject, name, check)]
    if subject.curves:
        with (folder / arrays_file('curves')).open('wb') as handle:
            np.savez(handle, **subject.curves)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`
    return {'checks': [finding.to_dict() for finding in findings], 'seconds': time.perf_counter() - since}


def _evaluated(subject: _Subject, frames: Frames) -> Evaluation:
    return isolated(partial(evaluate_frames, frames, subject.potential), subject.folder)


def _nve(subject: _Subject, structures: list[Atoms], conditions: nve.NveSettings) -> FloatArray:
    return isolated(partial(nve.run_each_nve, structures, subject.potential, conditions), subject.folder)


def _agreement(subject: _Subject) -> list[Finding]:
    """Return whether LAMMPS loads the potential, and whether it agrees with the trainer on the frames that the trainer kept."""
    config, own = subject.config, TrainerPredictions.load(subject.folder)
    if own is None:
        frames = subject.frames.take(spread_indices(len(subject.frames), config.compared_frames))
    else:
        frames = agreement.compared_frames(subject.frames, own)
    try:
        found = _evaluated(subject, frames)
    except InstallationError:
        raise
    except EngineError as error:
        return [Finding.failed(LOADS, f'LAMMPS cannot use the potential: {error}')]
    loads = Finding(LOADS, True, float(len(frames)), None, 'frames', f'LAMMPS loads the potential, seen on {len(frames)} frames')
    if own is None:
        missing = 'the trainer kept no predictions of its own, only the training errors are compared'
        return [loads, *(Finding.not_made(name, missing) for name in (agreement.ENERGY, agreement.FORCE))]
    limits = (config.energy_tolerance, config.force_tolerance)
    return [loads, *agreement.agreement_findings(frames, own, found.energy, found.forces, limits=limits)]


def _stress(subject: _Subject) -> list[Finding]:
    frames = subject.frames.take(spread_indices(len(subject.frames), subject.config.stress_frames))
    strained = stress.strained_cells(frames, subject.config.stress_strain)
    try:
        found = _evaluated(subject, Frames.from_atoms([*frames, *strained]))
    except EngineError as error:
        return [Finding.failed(stress.CHECK, f'LAMMPS fails on slightly strained training frames: {error}')]
    derivative = stress.numerical_stress(frames, found.energy[len(frames) :], subject.config.stress_strain)
    return [stress.stress_finding(found.stress[: len(frames)], derivative, limit=subject.config.stress_tolerance)]


def _walls(subject: _Subject) -> list[Finding]:
    config, potential = subject.config, subject.potential
    paths = wall.wall_paths(
        subject.frames, potential.elements, cutoff=potential.cutoff, depth=config.wall_depth, n_points=config.wall_points
    )
    return [_wall(subject, path) for path in paths]


def _wall(subject: _Subject, path: wall.WallPath) -> Finding:
    name = '_'.join(path.pair)
    try:
        found = _evaluated(subject, Frames.from_atoms(path.structures))
    except (EngineError, InputError) as error:
        return Finding.failed(
            f'{wall.PREFIX}{"-".join(path.pair)}', f'LAMMPS fails on a close pair {"-".join(path.pair)}: {error}'
        )
    subject.curves[f'wall_{name}_distance'], subject.curves[f'wall_{name}_energy'] = path.distances, found.energy
    return wall.wall_finding(path, found.energy, limit=subject.config.wall_fall)


def _conservation(subject: _Subject, seed: int) -> list[Finding]:
    """Return the findings on constant energy; where a run fails, the structures run one by one, to name the one that failed."""
    config = subject.config
    conditions = nve.NveSettings(
        temperature=config.nve_temperature,
        steps=max(nve.SAMPLE_STEPS, round(config.nve_time / config.nve_timestep)),
        timestep=config.nve_timestep,
        seed=seed,
    )
    structures = nve.base_structures(subject.frames, config.nve_structures)
    try:
        energies = _nve(subject, structures, conditions)
    except (EngineError, InputError):
        return [_first_failure(subject, structures, conditions)]
    subject.curves['nve_time'], subject.curves['nve_energy'] = conditions.times, energies
    found = [
        (f'base structure {index}, {atoms.symbols}', nve.conservation(conditions.times, row, len(atoms)))
        for index, (atoms, row) in enumerate(zip(structures, energies, strict=True))
    ]
    return nve.conservation_findings(found, drift=config.nve_drift, fluctuation=config.nve_fluctuation)


def _other(subject: _Subject, name: str, check: Check) -> list[Finding]:
    try:
        return check.findings(subject.frames, partial(_evaluated, subject))
    except (EngineError, InputError) as error:
        return [Finding.failed(name, f'LAMMPS fails: {error}')]


def _first_failure(subject: _Subject, structures: list[Atoms], conditions: nve.NveSettings) -> Finding:
    for index, atoms in enumerate(structures):
        try:
            _nve(subject, [atoms], conditions)
        except (EngineError, InputError) as error:
            message = f'{conditions.steps} steps at constant energy fail on base structure {index}, {atoms.symbols}: {error}'
            return Finding.failed(nve.DRIFT, message)
    return Finding.failed(
        nve.DRIFT, 'the runs at constant energy failed together and not one by one; the machine may lack memory'
    )
