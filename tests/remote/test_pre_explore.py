"""Walks with the surrogate before any label: who walks, how far, and what the children know of themselves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.engines.mace.mace import evaluate
from aiida_mlip_autopipe.engines.mace.model import MaceModel
from aiida_mlip_autopipe.remote.pre_explore import with_walks
from tests.mace_data import MODEL, almg_pool, needs_mace

pytestmark = needs_mace


@pytest.fixture(scope='module')
def model() -> MaceModel:
    return MaceModel.load(MODEL, device='cpu', dtype='float32')


def walked(model: MaceModel, frames: Frames, seed: int = 0, **values: Any) -> Frames:
    config = SelectionConfig.model_validate({'model': str(MODEL), 'pre_explore': values})
    return with_walks(frames, model, config, np.random.default_rng(seed))


def squared_forces(model: MaceModel, frames: Frames) -> FloatArray:
    found = evaluate(model, frames).forces
    return np.array([(found[frames.rows(index)] ** 2).sum() for index in range(len(frames))])


def test_relaxation_goes_downhill(model: MaceModel) -> None:
    frames = almg_pool()
    after = walked(model, frames, kind='relax', steps=30).take(np.arange(len(frames), 2 * len(frames)))
    before_energy, after_energy = evaluate(model, frames).energies, evaluate(model, after).energies
    assert (after_energy <= before_energy + 1e-4).all()
    rattled = frames.config_type == 'rattle'
    assert (squared_forces(model, after)[rattled] < 0.3 * squared_forces(model, frames)[rattled]).all()
    np.testing.assert_array_equal(after.cells, frames.cells)


def test_md_is_hot(model: MaceModel) -> None:
    frames = almg_pool().take([0, 1, 3])
    cold, hot = (walked(model, frames, kind='md', temperature=t, steps=40, timestep=2.0).take([3, 4, 5]) for t in (10.0, 2000.0))
    assert evaluate(model, hot).energies.sum() > evaluate(model, cold).energies.sum() + 1.0


def test_children_follow_the_frames_and_know_their_parents(model: MaceModel) -> None:
    frames = almg_pool()
    pool = walked(model, frames, kind='md', steps=3, timestep=1.5, temperature=300.0)
    children = pool.take(np.arange(len(frames), len(pool)))
    assert pool.uid[: len(frames)].tolist() == frames.uid.tolist()
    assert children.parent.tolist() == frames.uid.tolist()
    assert children.lineage.tolist() == frames.lineage.tolist()
    assert set(children.config_type.tolist()) == {'surrogate_md'}
    expected = {'strategy': 'pre_explore', 'kind': 'md', 'steps': 3, 'timestep': 1.5, 'temperature': 300.0}
    assert json.loads(children.origin[0]) == expected


def test_frames_that_are_not_sane_do_not_walk(model: MaceModel) -> None:
    squeezed = bulk('Al', a=2.0, cubic=True)
    frames = Frames.concatenate([Frames.from_atoms([squeezed]), almg_pool().take([0])])
    pool = walked(model, frames, kind='relax', steps=2)
    assert len(pool) == 3
    assert pool.parent[2] == frames.uid[1]
    assert pool.config_type[2] == 'surrogate_relax'


def test_nothing_sane_nothing_walks(model: MaceModel) -> None:
    frames = Frames.from_atoms([bulk('Al', a=2.0, cubic=True)])
    assert len(walked(model, frames, kind='md', steps=2)) == 1
