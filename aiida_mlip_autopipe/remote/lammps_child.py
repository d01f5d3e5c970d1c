"""The program in whose process LAMMPS lives: `python -m aiida_mlip_autopipe.remote.lammps_child JOB.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from aiida_mlip_autopipe.common.errors import MlipError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.simulation import Simulation
from aiida_mlip_autopipe.remote.lammps_job import (
    FRAMES,
    Packet,
    Task,
    pack_atom_rows,
    pack_evaluation,
    pack_fit,
    pack_md,
    pack_simulated,
    pack_spread,
    unpack_fit_settings,
    unpack_md_settings,
    unpack_nve_settings,
    unpack_potential,
    write_failure,
)
from aiida_mlip_autopipe.science.ace.fit import AceSettings, fit_ace
from aiida_mlip_autopipe.science.checks.nve import run_nve
from aiida_mlip_autopipe.science.descriptors import atom_rows
from aiida_mlip_autopipe.science.evaluate import evaluate_frames
from aiida_mlip_autopipe.science.md.dynamics import run_md
from aiida_mlip_autopipe.science.pod.descriptors import pod_features
from aiida_mlip_autopipe.science.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.science.simulate import simulate
from aiida_mlip_autopipe.science.spread import posterior_spread

FAILED: Final = 3
"""Exit code after an error that is meant for the user and lies in a file."""


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return the exit code: 0, or 3 when an error lies in the exchange folder.

    :param arguments: the path of the job file, beside which frames are read and results are written.
    """
    (path,) = sys.argv[1:] if arguments is None else arguments
    exchange = Path(path).parent
    job = json.loads(Path(path).read_text(encoding='utf-8'))
    try:
        frames = Frames.load(exchange / FRAMES)
        _TASKS[Task(job['task'])](frames, job['options']).write(exchange)
    except MlipError as error:
        write_failure(exchange, error)
        return FAILED
    return 0


def _features(frames: Frames, options: Mapping[str, Any]) -> Packet:
    return Packet({}, {'features': pod_features(frames, elements=options['elements'], cutoff=options['cutoff'])})


def _atom_rows(frames: Frames, options: Mapping[str, Any]) -> Packet:
    return pack_atom_rows(atom_rows(frames, unpack_potential(options['potential']), Path(options['folder'])))


def _fit_pod(frames: Frames, options: Mapping[str, Any]) -> Packet:
    settings = unpack_fit_settings(options['settings'], PodSettings)
    return pack_fit(fit_pod(frames, options['references'], settings, Path(options['folder'])))


def _fit_ace(frames: Frames, options: Mapping[str, Any]) -> Packet:
    settings = unpack_fit_settings(options['settings'], AceSettings)
    return pack_fit(fit_ace(frames, options['references'], settings, Path(options['folder'])))


def _md(frames: Frames, options: Mapping[str, Any]) -> Packet:
    settings = unpack_md_settings(options['settings'])
    return pack_md(run_md(frames.atoms(0), unpack_potential(options['potential']), settings))


def _evaluate(frames: Frames, options: Mapping[str, Any]) -> Packet:
    return pack_evaluation(evaluate_frames(frames, unpack_potential(options['potential'])))


def _spread(frames: Frames, options: Mapping[str, Any]) -> Packet:
    return pack_spread(posterior_spread(frames, unpack_potential(options['potential']), Path(options['folder'])))


def _nve(frames: Frames, options: Mapping[str, Any]) -> Packet:
    potential, settings = unpack_potential(options['potential']), unpack_nve_settings(options['settings'])
    return Packet({}, {'energies': np.array([run_nve(atoms, potential, settings) for atoms in frames])})


def _simulate(frames: Frames, options: Mapping[str, Any]) -> Packet:
    potential, simulation = unpack_potential(options['potential']), Simulation.from_mapping(options['simulation'])
    return pack_simulated([simulate(atoms, potential, simulation) for atoms in frames])


_TASKS: Final[Mapping[Task, Callable[[Frames, Mapping[str, Any]], Packet]]] = {
    Task.FEATURES: _features,
    Task.ATOM_ROWS: _atom_rows,
    Task.FIT_POD: _fit_pod,
    Task.FIT_ACE: _fit_ace,
    Task.MD: _md,
    Task.EVALUATE: _evaluate,
    Task.SPREAD: _spread,
    Task.NVE: _nve,
    Task.SIMULATE: _simulate,
}


if __name__ == '__main__':
    sys.exit(main())
