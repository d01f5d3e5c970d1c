"""MD with ACE by the settings of any engine; `tests/remote/test_pace.py` compares the callback with LAMMPS's own pair styles."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.engines.ace.evaluator import AceEvaluator
from aiida_mlip_autopipe.engines.lammps.dynamics import run_md
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.science.md.journal import read_journal
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, TrajectoryEnd
from tests.ace_data import PLAIN, POTENTIAL, alloy, crystal

pytestmark = pytest.mark.lammps

COLD = MdSettings(temperature=300.0, steps=100, seed=11, timestep=2.0, gamma_select=1e6, gamma_halt=1e7)
HOT = dataclasses.replace(COLD, temperature=2500.0, steps=2000, gamma_select=4.0, gamma_halt=8.0, warmup=2000)


@pytest.fixture
def atoms() -> Atoms:
    found = crystal()
    found.rattle(0.02, seed=3)
    return found


@pytest.fixture(scope='module')
def hot_run() -> MdResult:
    found = crystal()
    found.rattle(0.02, seed=3)
    return run_md(found, POTENTIAL, HOT)


def run(atoms: Atoms, **changes: object) -> MdResult:
    return run_md(atoms, POTENTIAL, dataclasses.replace(COLD, **changes))  # type: ignore[arg-type]


def test_a_calm_run_finishes(atoms: Atoms) -> None:
    result = run(atoms)
    assert (result.stop, result.steps_done, result.message, result.candidates) == (TrajectoryEnd.FINISHED, 100, '', [])
    assert result.trace.step.tolist() == list(range(0, 101, 10))
    assert all(np.isfinite(column).all() for column in vars(result.trace).values())


def test_the_start_of_the_trace_is_the_start_structure(atoms: Atoms) -> None:
    trace = run(atoms, steps=10).trace
    start = evaluate_frames(Frames.from_atoms([atoms]), POTENTIAL)
    assert start.gamma is not None
    assert trace.potential_energy[0] == pytest.approx(start.energy[0], abs=1e-8)
    assert trace.gamma_max[0] == pytest.approx(start.gamma.max(), rel=1e-9)
    kinetic = len(atoms) * 8.617333e-5 * 300.0 * (1 - 1 / len(atoms)) / atoms.cell.volume
    assert trace.pressure[0] == pytest.approx(kinetic - start.stress[0, :3].mean(), rel=1e-4)


def test_energies_are_total_energies(atoms: Atoms) -> None:
    shifted = dataclasses.replace(POTENTIAL, energy_shift={'Al': -50.0, 'Mg': -20.0})
    plain, total = (run_md(atoms, potential, COLD).trace.potential_energy for potential in (POTENTIAL, shifted))
    np.testing.assert_allclose(total - plain, -50.0 * 24 - 20.0 * 8, atol=1e-9)


def test_a_hot_run_is_stopped_by_the_grade(hot_run: MdResult) -> None:
    assert hot_run.stop is TrajectoryEnd.GRADE
    assert hot_run.steps_done == hot_run.trace.step[-1] < HOT.steps
    assert hot_run.trace.gamma_max[-1] > HOT.gamma_halt
    assert (hot_run.trace.gamma_max[:-1] <= HOT.gamma_halt).all()


def test_candidates_are_what_the_trace_says(hot_run: MdResult) -> None:
    steps = [frame.info['step'] for frame in hot_run.candidates]
    assert len(steps) > 3
    predicted = evaluate_frames(Frames.from_atoms(hot_run.candidates), POTENTIAL)
    assert predicted.gamma is not None
    np.testing.assert_allclose(predicted.gamma, np.concatenate([f.arrays['gamma'] for f in hot_run.candidates]), rtol=1e-6)
    energies = hot_run.trace.potential_energy[np.isin(hot_run.trace.step, steps)]
    np.testing.assert_allclose(predicted.energy, energies, atol=1e-7)


def test_a_short_bond_stops_the_run(atoms: Atoms) -> None:
    result = run_md(atoms, POTENTIAL, dataclasses.replace(HOT, gamma_halt=1e12, min_bond_fraction=0.85))
    assert result.stop is TrajectoryEnd.BOND
    assert result.trace.bond[-1] < 0.85 <= result.trace.bond[:-1].min()


def test_an_explosion_hands_back_what_was_seen(atoms: Atoms) -> None:
    result = run(atoms, temperature=30000.0, timestep=8.0, steps=2000, gamma_select=2.0, gamma_halt=1e12)
    assert result.stop in (TrajectoryEnd.LOST_ATOMS, TrajectoryEnd.TEMPERATURE)
    assert result.candidates
    assert result.steps_done == result.trace.step[-1] < 2000


@pytest.mark.parametrize('barostat', ['isotropic', 'anisotropic'])
def test_pressure_is_kept(atoms: Atoms, barostat: str) -> None:
    result = run(atoms, pressure=20 * GPA, barostat=barostat, steps=1000, gamma_select=1e-6, gamma_halt=1e9, max_candidates=1)
    assert result.trace.pressure[-50:].mean() == pytest.approx(20 * GPA, rel=0.05)
    assert result.candidates[0].cell.volume < 0.9 * atoms.cell.volume


def test_the_pressure_of_a_triclinic_cell_is_kept() -> None:
    result = run(alloy((3, 3, 3), rattle=0.02), pressure=0.0, steps=2000, timestep=1.0)
    assert result.stop is TrajectoryEnd.FINISHED
    assert result.trace.pressure[-100:].mean() == pytest.approx(0.0, abs=0.3 * GPA)


def test_a_relaxation_ends_with_the_atoms_at_rest_and_with_their_own_grade(atoms: Atoms) -> None:
    result = run(atoms, quench='minimize', gamma_select=1e-6, max_candidates=40)
    assert (result.stop, result.steps_done) == (TrajectoryEnd.FINISHED, 100)
    assert result.trace.step[-1] > 100
    assert result.trace.potential_energy[-1] < result.trace.potential_energy.min() + 1e-9
    relaxed = evaluate_frames(Frames.from_atoms([result.candidates[-1]]), POTENTIAL)
    assert np.abs(relaxed.forces).max() < 2e-3
    assert relaxed.gamma is not None
    assert result.trace.gamma_max[-1] == pytest.approx(relaxed.gamma.max(), rel=1e-6)


def test_cooling_goes_on_in_time(atoms: Atoms) -> None:
    result = run(atoms, quench='cool', quench_steps=300, quench_temperature=20.0)
    assert (result.stop, result.steps_done) == (TrajectoryEnd.FINISHED, 400)
    assert result.trace.temperature[-5:].mean() < 200.0 < result.trace.temperature[:11].mean()


def test_an_exception_inside_is_an_error_of_the_engine_and_the_journal_stays(
    atoms: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, calls = AceEvaluator.compute, []

    def failing(self: AceEvaluator, *arguments: object, **options: bool) -> object:
        calls.append(1)
        if len(calls) > 35:
            raise IndexError('out of range')
        return compute(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(AceEvaluator, 'compute', failing)
    settings = dataclasses.replace(COLD, journal=str(tmp_path))
    with pytest.raises(EngineError, match='a step could not be done: out of range'):
        run_md(atoms, POTENTIAL, settings)
    noted = read_journal(tmp_path, atoms, settings, 'it failed')
    assert noted is not None
    assert noted.trace.step.tolist() == [0, 10, 20, 30]


def test_a_potential_without_grade_is_refused(atoms: Atoms) -> None:
    with pytest.raises(InputError, match='active set'):
        run_md(atoms, PLAIN, COLD)
