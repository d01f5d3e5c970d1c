"""What LAMMPS is used for, each call in a child process: POD can end the process that it runs in."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.common.simulation import Simulation
from aiida_mlip_autopipe.remote.lammps_job import (
    FRAMES,
    JOB,
    Packet,
    Task,
    pack_potential,
    read_failure,
    unpack_ace_fit,
    unpack_atom_rows,
    unpack_evaluation,
    unpack_md,
    unpack_pod_fit,
    unpack_simulated,
    unpack_spread,
)
from aiida_mlip_autopipe.science.ace.fit import AceFit, AceSettings
from aiida_mlip_autopipe.science.checks.nve import NveSettings
from aiida_mlip_autopipe.science.child import run_in_child
from aiida_mlip_autopipe.science.evaluate import Evaluation
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential
from aiida_mlip_autopipe.science.linear.posterior import Spread
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings
from aiida_mlip_autopipe.science.pod.fit import PodFit, PodSettings
from aiida_mlip_autopipe.science.select.d_optimal import AtomRows
from aiida_mlip_autopipe.science.simulate import Simulated

CHILD = 'aiida_mlip_autopipe.remote.lammps_child'
"""Module that the child process runs."""


def features(frames: Frames, *, elements: Sequence[str], cutoff: float) -> FloatArray:
    """Return mean and standard deviation per element of the POD descriptors of basis S; zeros for an element that a frame lacks.

    :param elements: chemical symbols; all elements of the frames must be among them.
    :param cutoff: Å.
    :return: shape (n_frames, 2 n_elements n_descriptors).
    :raises InputError: a frame that is not periodic or has another element.
    :raises EngineError: LAMMPS is missing or crashed.
    """
    options = {'elements': list(elements), 'cutoff': float(cutoff)}
    with tempfile.TemporaryDirectory(prefix='features_') as folder:
        return _call(Task.FEATURES, options, frames, Path(folder)).arrays['features']


def atom_rows(frames: Frames, potential: LammpsPotential, folder: Path) -> AtomRows:
    """Return the descriptors of atoms that a potential is made of.

    :param folder: of the potential.
    :raises InputError: a frame that the potential cannot run.
    :raises EngineError: nothing is known of its engine, LAMMPS or pyace is missing, refuses the potential or crashed.
    """
    options = {'potential': pack_potential(potential), 'folder': str(folder.resolve())}
    return unpack_atom_rows(_call(Task.ATOM_ROWS, options, frames, folder))


def fit_pod(
    frames: Frames, references: Mapping[str, float], settings: PodSettings, folder: Path, *, timeout: float | None = None
) -> PodFit:
    """Return a POD potential fitted to labelled frames, its files written to `folder`.

    :param frames: labelled frames, without isolated atoms.
    :param references: eV, energy of the isolated atom of each element; none at all: their energies are fitted.
    :param timeout: s, or None.
    :raises FitError: a training set or a fit that makes no sense.
    :raises InputError: frames on which POD would crash, or settings that contradict the frames.
    :raises EngineError: LAMMPS is missing, crashed or exceeded the time limit.
    """
    options = _fit_options(settings, references, folder)
    return unpack_pod_fit(_call(Task.FIT_POD, options, frames, folder, timeout=timeout))


def fit_ace(
    frames: Frames, references: Mapping[str, float], settings: AceSettings, folder: Path, *, timeout: float | None = None
) -> AceFit:
    """Return a linear ACE potential fitted to labelled frames, its files written to `folder`.

    :param frames: labelled frames, without isolated atoms.
    :param references: eV, energy of the isolated atom of each element; none at all: their energies are fitted.
    :param timeout: s, or None.
    :raises FitError: a training set or a fit that makes no sense.
    :raises InputError: frames that are not periodic, or settings that contradict the frames.
    :raises EngineError: pyace is missing, crashed or exceeded the time limit.
    """
    options = _fit_options(settings, references, folder)
    return unpack_ace_fit(_call(Task.FIT_ACE, options, frames, folder, timeout=timeout))


def md(atoms: Atoms, potential: LammpsPotential, settings: MdSettings, folder: Path, *, timeout: float | None = None) -> MdResult:
    """Return the outcome of one run of molecular dynamics that watches the extrapolation grade.

    :param atoms: periodic start structure of at least two atoms.
    :param potential: with grade lines and active set; relative paths in it are relative to `folder`.
    :param folder: working directory of LAMMPS.
    :param timeout: s, or None.
    :raises InputError: a potential without grade, or a structure on which POD would crash.
    :raises EngineError: LAMMPS is missing, refuses the potential, crashed or exceeded the time limit.
    """
    options = {'settings': dataclasses.asdict(settings), 'potential': pack_potential(potential)}
    return unpack_md(_call(Task.MD, options, Frames.from_atoms([atoms]), folder, timeout=timeout))


def evaluate(frames: Frames, potential: LammpsPotential, folder: Path, *, timeout: float | None = None) -> Evaluation:
    """Return energies, forces, stresses and, with an active set, extrapolation grades of frames.

    :param potential: relative paths in it are relative to `folder`.
    :param folder: working directory of LAMMPS.
    :param timeout: s, or None.
    :raises InputError: a frame on which POD would crash, or with an element that the potential does not know; it names the frame.
    :raises EngineError: LAMMPS is missing, refuses the potential, crashed or exceeded the time limit.
    """
    options = {'potential': pack_potential(potential)}
    return unpack_evaluation(_call(Task.EVALUATE, options, frames, folder, timeout=timeout))


def spread(frames: Frames, potential: LammpsPotential, folder: Path, *, timeout: float | None = None) -> Spread:
    """Return the standard deviations of the predictions of a linear potential, by its posterior.

    :param folder: of the potential, with `posterior.npz`.
    :param timeout: s, or None.
    :raises InputError: a frame that the potential cannot run, or a posterior of another potential.
    :raises FormatError: there is no readable posterior.
    :raises EngineError: LAMMPS or pyace is missing, crashed or exceeded the time limit.
    """
    options = {'potential': pack_potential(potential), 'folder': str(folder.resolve())}
    return unpack_spread(_call(Task.SPREAD, options, frames, folder, timeout=timeout))


def nve(
    structures: Sequence[Atoms], potential: LammpsPotential, settings: NveSettings, folder: Path, *, timeout: float | None = None
) -> FloatArray:
    """Return the total energies of runs at constant energy, eV, shape (n_structures, n_samples).

    :param structures: periodic start structures.
    :param potential: relative paths in it are relative to `folder`.
    :param folder: working directory of LAMMPS.
    :param timeout: s, or None.
    :raises InputError: a structure on which POD would crash.
    :raises EngineError: LAMMPS is missing, refuses the potential, lost atoms, crashed or exceeded the time limit.
    """
    options = {'settings': dataclasses.asdict(settings), 'potential': pack_potential(potential)}
    return _call(Task.NVE, options, Frames.from_atoms(structures), folder, timeout=timeout).arrays['energies']


def simulate(
    frames: Frames, potential: LammpsPotential, simulation: Simulation, folder: Path, *, timeout: float | None = None
) -> list[Simulated]:
    """Return the outcome of a relaxation or of MD, one structure after the other.

    :param potential: relative paths in it are relative to `folder`.
    :param folder: working directory of LAMMPS.
    :param timeout: s, or None.
    :raises InputError: a structure on which POD would crash.
    :raises EngineError: LAMMPS is missing, refuses the potential, lost atoms, crashed or exceeded the time limit.
    """
    options = {'simulation': simulation.to_mapping(), 'potential': pack_potential(potential)}
    return unpack_simulated(_call(Task.SIMULATE, options, frames, folder, timeout=timeout))


def _fit_options(settings: PodSettings | AceSettings, references: Mapping[str, float], folder: Path) -> dict[str, Any]:
    return {
        'settings': dataclasses.asdict(settings),
        'references': {element: float(energy) for element, energy in references.items()},
        'folder': str(folder.resolve()),
    }


def _call(task: Task, options: Mapping[str, Any], frames: Frames, folder: Path, *, timeout: float | None = None) -> Packet:
    """Write the job into a folder of its own inside `folder`, run the child process and read the result."""
    with tempfile.TemporaryDirectory(prefix=f'.{task}_', dir=folder) as place:
        exchange = Path(place).resolve()
        frames.save(exchange / FRAMES)
        job = exchange / JOB
        job.write_text(json.dumps({'task': task.value, 'options': options}), encoding='utf-8')
        try:
            # -P: the working directory must not shadow Python's modules
            run_in_child([sys.executable, '-P', '-m', CHILD, str(job)], folder=folder, timeout=timeout)
        except EngineError as error:
            raise read_failure(exchange) or error from None
        return Packet.read(exchange)
