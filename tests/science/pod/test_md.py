import dataclasses

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.science.pod.evaluate import evaluate_frames
from aiida_mlip_autopipe.science.pod.md import MdSettings, StopReason, _best_of, run_md
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet
from tests.pod_data import alloy

COLD = MdSettings(temperature=300.0, steps=100, seed=11, timestep=2.0, gamma_select=1e6, gamma_halt=1e6)
HOT = dataclasses.replace(COLD, temperature=2500.0, steps=2000, gamma_select=2.0, gamma_halt=8.0)


@pytest.fixture
def atoms():
    return alloy(np.random.default_rng(5), size=(2, 2, 1), rattle=0.02)


@pytest.fixture(scope='module')
def hot_run(fitted):
    return run_md(alloy(np.random.default_rng(5), size=(2, 2, 1), rattle=0.02), fitted.potential, HOT)


@pytest.mark.lammps
def test_a_calm_run_finishes(fitted, atoms):
    result = run_md(atoms, fitted.potential, COLD)
    assert (result.stop, result.steps_done, result.message) == (StopReason.FINISHED, 100, '')
    assert result.candidates == []
    assert result.trace.step.tolist() == list(range(0, 101, 10))
    assert all(len(column) == 11 and np.isfinite(column).all() for column in vars(result.trace).values())
    assert result.trace.temperature[0] == pytest.approx(300.0)


@pytest.mark.lammps
def test_first_entry_of_the_trace_is_the_start_structure(fitted, atoms):
    trace = run_md(atoms, fitted.potential, dataclasses.replace(COLD, steps=10)).trace
    start = evaluate_frames(Frames.from_atoms([atoms]), fitted.potential)
    assert trace.potential_energy[0] == pytest.approx(start.energy[0], abs=1e-8)
    assert trace.gamma_max[0] == pytest.approx(start.gamma.max(), rel=1e-6)
    kinetic = len(atoms) * 8.617333e-5 * 300.0 * (1 - 1 / len(atoms)) / atoms.cell.volume
    assert trace.pressure[0] == pytest.approx(kinetic - start.stress[0, :3].mean(), rel=1e-4)


@pytest.mark.lammps
def test_same_seed_same_trace(fitted, atoms):
    first, second, other = (
        run_md(atoms, fitted.potential, dataclasses.replace(COLD, steps=40, seed=seed)).trace for seed in (3, 3, 4)
    )
    for name in vars(first):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert not np.array_equal(first.potential_energy, other.potential_energy)


@pytest.mark.lammps
def test_a_hot_run_is_stopped_by_the_grade(hot_run):
    assert hot_run.stop is StopReason.GRADE
    assert hot_run.steps_done == hot_run.trace.step[-1] < HOT.steps
    assert hot_run.trace.gamma_max[-1] > HOT.gamma_halt
    assert (hot_run.trace.gamma_max[:-1] <= HOT.gamma_halt).all()


@pytest.mark.lammps
def test_candidates_are_what_the_trace_says(fitted, hot_run, atoms):
    gammas = [frame.info['gamma_max'] for frame in hot_run.candidates]
    steps = [frame.info['step'] for frame in hot_run.candidates]
    assert steps == sorted(steps)
    assert steps[-1] == hot_run.steps_done
    assert min(gammas) > HOT.gamma_select
    assert hot_run.n_selected == (hot_run.trace.gamma_max > HOT.gamma_select).sum()
    predicted = evaluate_frames(Frames.from_atoms(hot_run.candidates), fitted.potential)
    np.testing.assert_allclose(predicted.gamma, np.concatenate([f.arrays['gamma'] for f in hot_run.candidates]), rtol=1e-6)
    energies = hot_run.trace.potential_energy[np.isin(hot_run.trace.step, steps)]
    np.testing.assert_allclose(predicted.energy, energies, atol=1e-7)
    for frame in hot_run.candidates:
        np.testing.assert_allclose(frame.cell.array, atoms.cell.array, atol=1e-9)
        assert frame.symbols.get_chemical_formula() == atoms.symbols.get_chemical_formula()
        places = frame.get_scaled_positions(wrap=False)
        assert (places > -1e-9).all()
        assert (places < 1 + 1e-9).all()


@pytest.mark.lammps
def test_a_start_beyond_the_limit_stops_at_once(fitted, atoms):
    result = run_md(atoms, fitted.potential, dataclasses.replace(HOT, gamma_select=1e-6, gamma_halt=1e-5))
    assert (result.stop, result.steps_done, len(result.candidates)) == (StopReason.GRADE, 0, 1)
    np.testing.assert_allclose(result.candidates[0].get_all_distances(mic=True), atoms.get_all_distances(mic=True), atol=1e-8)


@pytest.mark.lammps
def test_candidates_are_thinned_but_the_last_one_stays(fitted, atoms):
    settings = dataclasses.replace(COLD, steps=200, check_interval=2, gamma_select=1e-6, max_candidates=4)
    result = run_md(atoms, fitted.potential, settings)
    steps = [frame.info['step'] for frame in result.candidates]
    assert result.n_selected == 101
    assert len(steps) == 4
    assert steps == sorted(set(steps))
    assert steps[-1] == 200
    assert np.diff([0, *steps]).max() <= 100  # spread over the run


@pytest.mark.lammps
def test_an_active_set_of_another_basis_is_refused(fitted, atoms, tmp_path):
    ActiveSet.fit(np.eye(5), np.zeros(5, dtype=int)).save(tmp_path / 'other.npz')
    with pytest.raises(EngineError, match='5 descriptors'):
        run_md(atoms, dataclasses.replace(fitted.potential, active_set=tmp_path / 'other.npz'), COLD)


def frame(step, gamma):
    atoms = Atoms('Cu')
    atoms.info.update(step=step, gamma_max=gamma)
    return atoms


def test_each_stretch_of_time_gives_its_highest_grade():
    frames = [frame(10 * i, 2.0 + (i % 5 == 3)) for i in range(20)]
    assert [f.info['step'] for f in _best_of(frames, 4)] == [30, 80, 130, 180]


def test_places_of_empty_stretches_go_to_the_highest_grades():
    frames = [*(frame(i, 2.0 + i) for i in range(9)), frame(1000, 2.0)]
    assert [f.info['step'] for f in _best_of(frames, 4)] == [6, 7, 8, 1000]


@pytest.mark.lammps
def test_pressure_is_kept(fitted, atoms):
    settings = dataclasses.replace(COLD, pressure=20 * GPA, steps=1000, gamma_select=1e-6, gamma_halt=1e9, max_candidates=1)
    result = run_md(atoms, fitted.potential, settings)
    assert result.trace.pressure[-50:].mean() == pytest.approx(20 * GPA, rel=0.2)
    assert result.candidates[0].cell.volume < 0.97 * atoms.cell.volume


@pytest.mark.lammps
def test_an_explosion_hands_back_what_was_seen(fitted, atoms):
    settings = dataclasses.replace(COLD, temperature=30000.0, timestep=8.0, steps=2000, gamma_select=2.0, gamma_halt=1e12)
    result = run_md(atoms, fitted.potential, settings)
    assert result.stop in (StopReason.LOST_ATOMS, StopReason.TEMPERATURE)
    assert result.candidates
    assert len(result.trace.step) >= 1
    assert result.steps_done == result.trace.step[-1] < 2000


@pytest.mark.lammps
def test_a_potential_without_grade_is_refused(fitted, atoms):
    with pytest.raises(InputError, match='active set'):
        run_md(atoms, dataclasses.replace(fitted.potential, active_set=None), COLD)


@pytest.mark.lammps
def test_structures_on_which_pod_crashes_are_refused(fitted):
    pair = Atoms('Cu2', [[0, 0, 0], [2.5, 0, 0]], cell=[12] * 3, pbc=True)
    for lonely in (pair, pair[:1]):
        with pytest.raises(InputError):
            run_md(lonely, fitted.potential, COLD)


@pytest.mark.lammps
def test_a_broken_potential_is_an_engine_error(fitted, atoms):
    broken = dataclasses.replace(fitted.potential, pair_lines=('pair_style nonsense',))
    with pytest.raises(EngineError, match='pair_style nonsense'):
        run_md(atoms, broken, COLD)


@pytest.mark.parametrize(
    'change',
    [{'temperature': 0.0}, {'steps': 0}, {'seed': 0}, {'seed': 2**31}, {'gamma_halt': 1.0}, {'max_candidates': 0}],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(InputError):
        dataclasses.replace(COLD, **change)
