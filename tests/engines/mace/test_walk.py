"""Walks on springs, whose statistics and minimum are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms, units

from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.engines.mace.walk import Md, as_children, md, relax

STIFFNESS = 2.0
"""eV/Å²."""


def particles(n, n_atoms=4):
    rng = np.random.default_rng(0)
    return Frames.from_atoms([Atoms(f'Al{n_atoms}', rng.normal(size=(n_atoms, 3)), cell=[20] * 3, pbc=True) for _ in range(n)])


def springs(frames):
    return -STIFFNESS * frames.positions


def test_the_temperature_is_that_of_the_bath():
    walked = md(particles(400), springs, Md(temperature=600.0, steps=400, timestep=5.0), np.random.default_rng(1))
    expected = units.kB * 600.0 / STIFFNESS  # equipartition: k <x²> / 2 = kB T / 2
    assert (walked.positions**2).mean() == pytest.approx(expected, rel=0.05)


def test_the_same_generator_gives_the_same_walk():
    runs = [md(particles(3), springs, Md(300.0, 10, 2.0), np.random.default_rng(seed)).positions for seed in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.allclose(runs[0], runs[2])


def test_relaxation_finds_the_minimum():
    start = particles(5)
    walked = relax(start, springs, 200)
    assert np.abs(springs(walked)).max() < 1e-3
    assert np.abs(springs(relax(start, springs, 5))).max() < np.abs(springs(start)).max()


def test_one_stiff_structure_does_not_hold_up_the_others():
    def forces(frames):
        return -np.repeat([2000.0, 1.0], frames.counts)[:, None] * frames.positions

    walked = relax(particles(2), forces, 300)
    assert np.abs(walked.positions[walked.rows(1)]).max() < 1e-2
    assert np.abs(walked.positions[walked.rows(0)]).max() < 0.2


def test_forces_that_are_not_finite_stop_the_atom():
    def broken(frames):
        forces = springs(frames)
        forces[0] = np.nan
        return forces

    start = particles(2)
    walked = md(start, broken, Md(300.0, 5, 2.0), np.random.default_rng(0))
    assert np.isfinite(walked.positions).all()
    assert not np.allclose(walked.positions[1:], start.positions[1:])


def test_children_know_where_they_come_from():
    start = particles(3)
    walked = as_children(md(start, springs, Md(300.0, 5, 2.0), np.random.default_rng(0)), start, 'surrogate_md', '{"a": 1}')
    assert walked.parent.tolist() == start.uid.tolist()
    assert walked.lineage.tolist() == start.lineage.tolist()
    assert set(walked.uid.tolist()).isdisjoint(start.uid.tolist())
    assert walked.uid[0] == uid_of(walked.atoms(0))
    assert set(walked.config_type.tolist()) == {'surrogate_md'}
    assert json.loads(walked.origin[0]) == {'a': 1}
