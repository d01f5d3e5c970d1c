"""Energy outliers: what is found among alloys of many compositions, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.science.outliers import MIN_FRAMES, energy_outliers

ELEMENT_ENERGIES = {'Al': -56.0, 'Mg': -24.0}
ALMG = Path(__file__).parents[1] / 'fixtures' / 'almg'


def alloys(n_frames: int, *, spread: float = 0.01, seed: int = 0, kind: str = 'rattle') -> Frames:
    """Al-Mg cells of all compositions with energies that scatter by `spread` eV/atom."""
    rng = np.random.default_rng(seed)
    structures = []
    for index in range(n_frames):
        symbols = ['Al'] * (index % 9) + ['Mg'] * (8 - index % 9)
        atoms = Atoms(symbols, positions=4 * rng.random((8, 3)), cell=[4, 4, 4], pbc=True, info={'config_type': kind})
        energy = sum(ELEMENT_ENERGIES[s] for s in symbols) + 8 * spread * rng.normal()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((8, 3)))
        structures.append(atoms)
    return Frames.from_atoms(structures)


def shifted(frames: Frames, index: int, shift: float) -> Frames:
    energy = frames.energy.copy()
    energy[index] += 8 * shift
    return frames.replace(energy=energy)


@pytest.mark.parametrize('shift', [-5.0, 0.5, 5.0, 500.0])
def test_one_wrong_energy_is_found_and_nothing_else(shift: float) -> None:
    found = energy_outliers(shifted(alloys(40), 7, shift), 20)
    assert np.flatnonzero(found).tolist() == [7]


def test_compositions_are_no_outliers() -> None:
    assert not energy_outliers(alloys(40), 6).any()


def test_kinds_are_judged_each_by_itself() -> None:
    calm, wild = alloys(20, spread=0.001), alloys(20, spread=0.5, seed=1, kind='md')
    frames = Frames.concatenate([shifted(calm, 3, 0.1), wild])
    assert np.flatnonzero(energy_outliers(frames, 20)).tolist() == [3]


def test_few_frames_are_never_judged() -> None:
    assert not energy_outliers(shifted(alloys(MIN_FRAMES - 1), 2, 50), 20).any()


def test_isolated_atoms_and_frames_without_a_label_do_not_count() -> None:
    frames = shifted(alloys(20), 4, 30)
    assert not energy_outliers(frames.replace(config_type=ISOLATED_ATOM), 20).any()
    assert not energy_outliers(frames.replace(labelled=False), 20).any()


def test_nothing_and_no_spread() -> None:
    assert energy_outliers(Frames.from_atoms([]), 20).shape == (0,)
    assert not energy_outliers(alloys(20, spread=0), 20).any()


def test_real_labels_are_all_kept() -> None:
    frames = Frames.from_atoms(read(ALMG / 'labelled.extxyz', ':'))
    assert len(frames) >= 36
    assert not energy_outliers(frames.replace(config_type='all'), 20).any()


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(20)), offset=st.floats(-1e3, 1e3))
def test_order_and_zero_of_energy_do_not_matter(order: list[int], offset: float) -> None:
    frames = shifted(alloys(20), 7, 3.0)
    moved = frames.replace(energy=frames.energy + offset * frames.counts).take(order)
    assert np.flatnonzero(energy_outliers(moved, 20)).tolist() == [order.index(7)]
