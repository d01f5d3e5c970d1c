"""The stages of a small Cu-Au loop, each run once for all tests: generate, label, train."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.remote.worker import run_stage
from aiida_mlip_autopipe.science.generate.isolated import isolated_atoms

SYSTEM = {
    'elements': ['Cu', 'Au'],
    'prototype': 'fcc',
    'lattice_parameters': {'Cu': 3.59, 'Au': 4.06},
    'compositions': [{'Cu': 1.0}, {'Cu': 0.5, 'Au': 0.5}, {'Au': 1.0}],
    'supercells': [[2, 2, 1]],
}
GENERATE = {
    'sqs': {'per_composition': 1, 'steps': 50},
    'strain': {'count': 2, 'hydrostatic': [-0.03, 0.03]},
    'rattle': {'count': 3, 'stdev': 0.1},
    'vacancy': {'count': 0},
}
EMT = {'labeller': 'mlip_autopipe.label_ase'}
BOX = 12.0


@dataclass(frozen=True)
class Outcome:
    """What a stage left in its folder."""

    status: int
    folder: Path

    def _json(self, name: str) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.folder / name).read_text(encoding='utf-8'))
        return values

    @property
    def report(self) -> dict[str, Any]:
        assert self.status == 0, self._json(files.ERROR)
        return self._json(files.REPORT)

    @property
    def error(self) -> dict[str, Any]:
        """The record of the error; there is no report beside it."""
        assert self.status == 1
        assert not (self.folder / files.REPORT).exists()
        return self._json(files.ERROR)

    def frames(self, port: str) -> Frames:
        return Frames.load(self.folder / files.arrays_file(port))

    def arrays(self, port: str) -> dict[str, np.ndarray]:
        with np.load(self.folder / files.arrays_file(port), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def has(self, port: str) -> bool:
        return (self.folder / files.arrays_file(port)).exists()


def run_in(folder: Path, name: str, settings: dict[str, Any], *, potential: Path | None = None, **frames: Frames) -> Outcome:
    """Return the outcome of a stage in an empty folder with these settings and frames."""
    folder.mkdir(parents=True)
    (folder / files.SETTINGS).write_text(json.dumps(settings), encoding='utf-8')
    for port, part in frames.items():
        part.save(folder / files.arrays_file(port))
    if potential is not None:
        shutil.copytree(potential, folder / files.POTENTIAL)
    return Outcome(run_stage(name, folder), folder)


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Outcome]:
    """Run a stage in a new folder."""

    def run(name: str, settings: dict[str, Any], **inputs: Any) -> Outcome:
        return run_in(tmp_path / f'{name}_{len(list(tmp_path.iterdir()))}', name, settings, **inputs)

    return run


@pytest.fixture(scope='session')
def generated(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp('generate') / 'job'
    return run_in(folder, 'generate', {'system': SYSTEM, 'settings': GENERATE, 'seed': 1})


@pytest.fixture(scope='session')
def labelled(tmp_path_factory: pytest.TempPathFactory, generated: Outcome) -> Outcome:
    """Labels of the generated frames and of the isolated atoms."""
    frames = Frames.concatenate([generated.frames('frames'), Frames.from_atoms(isolated_atoms(['Cu', 'Au'], BOX))])
    return run_in(tmp_path_factory.mktemp('label') / 'job', 'label-ase', {'settings': EMT}, frames=frames)


@pytest.fixture(scope='session')
def training(labelled: Outcome) -> Frames:
    frames = labelled.frames('labelled')
    return frames.take(np.flatnonzero(frames.config_type != ISOLATED_ATOM))


@pytest.fixture(scope='session')
def references(labelled: Outcome) -> Frames:
    frames = labelled.frames('labelled')
    return frames.take(np.flatnonzero(frames.config_type == ISOLATED_ATOM))


TRAIN = {'settings': {'basis': 'S', 'cutoff': 4.5, 'ridge': 1e-6}, 'elements': ['Cu', 'Au'], 'seed': 1}


@pytest.fixture(scope='session')
def trained(tmp_path_factory: pytest.TempPathFactory, training: Frames, references: Frames) -> Outcome:
    return run_in(tmp_path_factory.mktemp('train') / 'job', 'train-pod', TRAIN, frames=training, references=references)


@pytest.fixture(scope='session')
def potential(trained: Outcome) -> Path:
    """Return the folder of a fitted potential."""
    return trained.folder / files.POTENTIAL
