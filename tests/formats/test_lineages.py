"""Lineages of imported frames: steps of a trajectory and draws from one crystal belong together, other structures do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, uid_of
from aiida_mlip_autopipe.formats.extxyz import read_extxyz
from aiida_mlip_autopipe.formats.lineages import told_lineages
from aiida_mlip_autopipe.formats.structures import import_frames
from aiida_mlip_autopipe.science.split import lineage_split

RATTLE = 0.15
"""Å, large for a crystal: a twentieth of the distance of neighbours in each direction."""


def crystal(seed: int, n_gold: int = 4) -> Atoms:
    """Return 16 atoms of an alloy, decorated at random."""
    atoms = bulk('Cu', a=3.8, cubic=True) * (2, 2, 1)
    atoms.symbols[np.random.default_rng(seed).permutation(len(atoms))[:n_gold]] = 'Au'
    return atoms


def trajectory(start: Atoms, count: int, seed: int = 0, width: float = 0.05) -> list[Atoms]:
    """Return steps of a random walk, which loses its crystal in the end."""
    rng, frames = np.random.default_rng(seed), [start.copy()]
    for _ in range(count - 1):
        frames.append(frames[-1].copy())
        frames[-1].positions += rng.normal(scale=width, size=(len(start), 3))
    return frames


def rattled(atoms: Atoms, seed: int) -> Atoms:
    moved = atoms.copy()
    moved.positions += np.random.default_rng(seed).normal(scale=RATTLE, size=(len(atoms), 3))
    return moved


def test_steps_of_a_trajectory_are_one_lineage() -> None:
    frames = trajectory(crystal(0), 80, width=0.3)
    assert told_lineages(frames) == [uid_of(frames[0])] * 80


def test_a_melt_after_another_is_told_by_its_atoms() -> None:
    frames = [*trajectory(crystal(0), 20, width=0.5), *trajectory(crystal(1), 20, width=0.5)]
    found = told_lineages(frames)
    assert found == [uid_of(frames[0])] * 20 + [uid_of(frames[20])] * 20


def test_interleaved_trajectories_are_two() -> None:
    first, second = trajectory(crystal(0), 10), trajectory(crystal(1), 10, seed=1)
    found = told_lineages([frame for pair in zip(first, second, strict=True) for frame in pair])
    assert found == [uid_of(first[0]), uid_of(second[0])] * 10


def test_decorations_are_lineages_of_their_own() -> None:
    frames = [crystal(seed) for seed in range(8)]
    assert told_lineages(frames) == [uid_of(frame) for frame in frames]


@pytest.mark.parametrize('apart', [1, 2])
def test_draws_from_one_crystal_are_one_lineage_wherever_they_stand(apart: int) -> None:
    own, other = [rattled(crystal(0), seed) for seed in range(4)], [crystal(10 + seed) for seed in range(4)]
    moved = [frame.copy() for frame in own]
    for shift, frame in enumerate(moved):
        frame.positions += 1.7 * shift
        frame.set_cell(frame.cell * (1 + 0.02 * shift), scale_atoms=True)
        frame.wrap()
    frames = moved if apart == 1 else [frame for pair in zip(moved, other, strict=True) for frame in pair]
    assert set(told_lineages(frames)[::apart]) == {uid_of(moved[0])}


def test_a_config_type_begins_another_lineage_where_the_crystal_is_another() -> None:
    fcc, melt = trajectory(bulk('Cu', cubic=True), 3), trajectory(rattled(bulk('Cu', cubic=True), 5), 4, width=0.5)
    melt[0].positions += np.random.default_rng(3).normal(scale=0.7, size=(4, 3))
    for kind, frames in (('fcc', fcc), ('melt', melt)):
        for frame in frames:
            frame.info['config_type'] = kind
    assert len(set(told_lineages([*fcc, *melt]))) >= 2


def test_what_a_file_says_stays() -> None:
    frames = trajectory(crystal(0), 3)
    frames[1].info['lineage'] = 'mine'
    assert told_lineages(frames) == [uid_of(frames[0]), 'mine', uid_of(frames[0])]


def test_isolated_atoms_are_alone() -> None:
    frames = [Atoms('Cu', cell=[size] * 3, pbc=True, info={'config_type': ISOLATED_ATOM}) for size in (12.0, 14.0)]
    assert len(set(told_lineages(frames))) == 2


def test_molecules_of_the_same_atoms_that_do_not_follow_are_apart() -> None:
    first, second = (Atoms('CuAu', [[0, 0, 0], [0, 0, length]]) for length in (2.5, 2.6))
    assert len(set(told_lineages([first, crystal(0), second]))) == 3


@pytest.mark.parametrize('name', ['md.extxyz', 'md.traj'])
def test_files_give_frames_with_lineages(name: str, tmp_path: Path) -> None:
    """80 steps of MD are no 80 lineages, in whatever format they come."""
    write(tmp_path / name, trajectory(crystal(0), 80))
    frames = import_frames(tmp_path / name)
    assert len(frames) == 80
    assert set(frames.lineage.tolist()) == {frames.uid[0]}


def test_an_own_file_keeps_its_lineages(tmp_path: Path) -> None:
    frames = trajectory(crystal(0), 2)
    for number, frame in enumerate(frames):
        frame.info['lineage'] = f'root{number}'
    write(tmp_path / 'own.extxyz', frames)
    assert read_extxyz(tmp_path / 'own.extxyz').lineage.tolist() == ['root0', 'root1']


def test_no_trajectory_is_on_both_sides_after_import(tmp_path: Path) -> None:
    """Steps of six trajectories, two and two interleaved: each is trained on or tested as a whole."""
    walks = [trajectory(crystal(seed), 20, seed=seed) for seed in range(6)]
    rows = [
        (walk, frame) for first in (0, 2, 4) for step in range(20) for walk in (first, first + 1) for frame in [walks[walk][step]]
    ]
    write(tmp_path / 'md.extxyz', [frame for _, frame in rows])
    frames = import_frames(tmp_path / 'md.extxyz')
    assert len(set(frames.lineage.tolist())) == 6
    elements = [['Au', 'Cu']] * len(frames)
    is_test = lineage_split(frames.lineage.tolist(), ['same'] * len(frames), elements, fraction=0.2, rng=np.random.default_rng(0))
    tested = {walk for (walk, _), held_out in zip(rows, is_test, strict=True) if held_out}
    trained = {walk for (walk, _), held_out in zip(rows, is_test, strict=True) if not held_out}
    assert tested
    assert not tested & trained
