import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.engines.lammps.dynamics import STRAINED, run_md
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.science.md.journal import RESTART, ROLLING, read_journal
from aiida_mlip_autopipe.science.md.records import MdSettings, TrajectoryEnd, largest_temperature
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet
from tests.pod_data import alloy

COLD = MdSettings(temperature=300.0, steps=100, seed=11, timestep=2.0, gamma_select=1e6, gamma_halt=1e7)
HOT = dataclasses.replace(COLD, temperature=2500.0, steps=2000, gamma_select=2.0, gamma_halt=8.0)


@pytest.fixture
def atoms():
    return alloy(np.random.default_rng(5), size=(2, 2, 1), rattle=0.02)


@pytest.fixture
def settled(fitted, atoms):
    """A start that needs no relaxation: no atom of it feels a force above `STRAINED`."""
    quiet = atoms.copy()
    while True:
        found = evaluate_frames(Frames.from_atoms([quiet]), fitted.potential)
        if np.linalg.norm(found.forces, axis=1).max() < STRAINED:
            return quiet
        quiet.positions += 0.002 * found.forces


@pytest.fixture(scope='module')
def hot_run(fitted):
    return run_md(alloy(np.random.default_rng(5), size=(2, 2, 1), rattle=0.02), fitted.potential, HOT)


@pytest.mark.lammps
def test_a_calm_run_finishes(fitted, atoms):
    result = run_md(atoms, fitted.potential, COLD)
    assert (result.stop, result.steps_done, result.message) == (TrajectoryEnd.FINISHED, 100, '')
    assert result.candidates == []
    assert result.trace.step.tolist() == list(range(0, 101, 10))
    assert all(len(column) == 11 and np.isfinite(column).all() for column in vars(result.trace).values())
    assert result.trace.temperature[0] == pytest.approx(300.0)


@pytest.mark.lammps
def test_first_entry_of_the_trace_is_the_start_structure(fitted, settled):
    atoms = settled
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
    assert hot_run.stop is TrajectoryEnd.GRADE
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
def test_a_start_beyond_the_limit_stops_at_once(fitted, settled):
    atoms = settled
    result = run_md(atoms, fitted.potential, dataclasses.replace(HOT, gamma_select=1e-6, gamma_halt=1e-5))
    assert (result.stop, result.steps_done, len(result.candidates)) == (TrajectoryEnd.GRADE, 0, 1)
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
    assert result.stop in (TrajectoryEnd.LOST_ATOMS, TrajectoryEnd.TEMPERATURE)
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


@pytest.mark.lammps
def test_first_bond_of_the_trace_is_that_of_the_start_structure(fitted, settled):
    atoms = settled
    trace = run_md(atoms, fitted.potential, dataclasses.replace(COLD, steps=10)).trace
    first, second, distances = neighbor_list('ijd', atoms, 4.0)
    radii = covalent_radii[atoms.numbers]
    assert trace.bond[0] == pytest.approx((distances / (radii[first] + radii[second])).min(), rel=1e-9)


@pytest.mark.lammps
def test_a_strained_start_is_relaxed_before_it_moves(fitted):
    shaken = alloy(np.random.default_rng(5), size=(2, 2, 1), rattle=0.15)
    before = evaluate_frames(Frames.from_atoms([shaken]), fitted.potential)
    assert np.linalg.norm(before.forces, axis=1).max() > STRAINED
    result = run_md(shaken, fitted.potential, dataclasses.replace(COLD, steps=200))
    assert result.trace.step[0] == 0
    assert result.trace.potential_energy[0] < before.energy[0] - 1.0
    assert result.trace.temperature.max() < 600.0


@pytest.mark.lammps
def test_frames_from_before_a_failure_come_back(fitted, atoms):
    settings = dataclasses.replace(HOT, gamma_select=1e6, gamma_halt=1e12, min_bond_fraction=0.85)
    result = run_md(atoms, fitted.potential, settings)
    assert (result.stop, result.candidates) == (TrajectoryEnd.BOND, [])
    steps = [frame.info['step'] for frame in result.before_failure]
    assert steps == sorted(steps)
    assert steps[-1] == result.trace.step[-2]
    assert 1 < len(steps) <= 5
    bonds = dict(zip(result.trace.step.tolist(), result.trace.bond, strict=True))
    assert min(bonds[step] for step in steps) >= 0.85


@pytest.mark.lammps
def test_a_run_that_finishes_hands_back_nothing_of_the_kind(fitted, atoms):
    assert run_md(atoms, fitted.potential, COLD).before_failure == []


@pytest.mark.lammps
def test_the_volume_has_a_window(fitted, atoms):
    settings = dataclasses.replace(COLD, pressure=100 * GPA, steps=2000, volume_window=(0.97, 1.03))
    result = run_md(atoms, fitted.potential, settings)
    assert result.stop is TrajectoryEnd.VOLUME
    assert 0 < result.steps_done < 2000
    assert result.before_failure


@pytest.mark.lammps
def test_after_the_warm_up_the_temperature_has_a_narrower_window(fitted, atoms):
    """A thermostat that holds the atoms at 5 standard deviations' worth more than what is asked for is a failure."""
    swing = largest_temperature(COLD.temperature, len(atoms))
    assert COLD.temperature < swing < 10 * COLD.temperature
    hot = atoms.copy()
    hot.rattle(0.25, seed=1)
    plain = dataclasses.replace(COLD, temperature=20.0, steps=200, check_interval=2)
    early = run_md(hot, fitted.potential, dataclasses.replace(plain, warmup=200))
    assert early.stop is not TrajectoryEnd.BOND
    limit = largest_temperature(20.0, len(atoms))
    late = run_md(hot, fitted.potential, plain)
    beyond = early.trace.temperature > limit
    assert (late.stop is TrajectoryEnd.TEMPERATURE) == bool(beyond.any())


@pytest.mark.lammps
def test_a_short_bond_stops_the_run(fitted, atoms):
    settings = dataclasses.replace(HOT, gamma_halt=1e12, min_bond_fraction=0.85)
    result = run_md(atoms, fitted.potential, settings)
    assert result.stop is TrajectoryEnd.BOND
    assert result.trace.bond[-1] < 0.85 <= result.trace.bond[:-1].min()
    assert result.steps_done == result.trace.step[-1] < HOT.steps


@pytest.mark.lammps
def test_the_target_follows_the_ramp(fitted, atoms):
    settings = dataclasses.replace(COLD, temperature_end=1200.0, steps=2000)
    temperature = run_md(atoms, fitted.potential, settings).trace.temperature
    thirds = [part.mean() for part in np.array_split(temperature, 3)]
    assert thirds == sorted(thirds)
    assert thirds[2] > 1.4 * thirds[0]


@pytest.mark.lammps
def test_a_relaxation_ends_with_the_atoms_at_rest(fitted, atoms):
    settings = dataclasses.replace(COLD, quench='minimize', gamma_select=1e-6, max_candidates=40)
    result = run_md(atoms, fitted.potential, settings)
    assert (result.stop, result.steps_done) == (TrajectoryEnd.FINISHED, 100)
    assert result.trace.step[-1] > 100
    assert result.trace.temperature[-1] == 0.0
    assert result.trace.potential_energy[-1] < result.trace.potential_energy.min() + 1e-9
    relaxed = result.candidates[-1]
    assert relaxed.info['step'] == result.trace.step[-1]
    assert np.abs(evaluate_frames(Frames.from_atoms([relaxed]), fitted.potential).forces).max() < 2e-3


@pytest.mark.lammps
def test_cooling_goes_on_in_time(fitted, atoms):
    settings = dataclasses.replace(COLD, temperature=900.0, quench='cool', quench_steps=1500, quench_temperature=20.0)
    result = run_md(atoms, fitted.potential, settings)
    assert (result.stop, result.steps_done) == (TrajectoryEnd.FINISHED, 1600)
    assert result.trace.step.tolist() == list(range(0, 1601, 10))
    assert result.trace.temperature[-10:].mean() < 150.0


@pytest.mark.lammps
def test_a_stopped_run_is_not_quenched(fitted, atoms):
    result = run_md(atoms, fitted.potential, dataclasses.replace(HOT, quench='cool'))
    assert result.stop is TrajectoryEnd.GRADE
    assert result.steps_done < HOT.steps


@pytest.mark.lammps
@pytest.mark.parametrize(('barostat', 'is_alike'), [('isotropic', True), ('anisotropic', False)])
def test_a_barostat_scales_alike_or_each_lattice_vector(fitted, atoms, barostat, is_alike):
    settings = dataclasses.replace(
        COLD, pressure=10 * GPA, barostat=barostat, steps=200, gamma_select=1e-6, gamma_halt=1e9, max_candidates=1
    )
    (frame,) = run_md(atoms, fitted.potential, settings).candidates
    scale = frame.cell.lengths() / atoms.cell.lengths()
    assert (np.ptp(scale) < 1e-9) == is_alike
    assert scale.prod() < 0.99


@pytest.mark.lammps
def test_the_journal_says_what_the_result_says(fitted, atoms, tmp_path):
    settings = dataclasses.replace(HOT, journal=str(tmp_path), max_candidates=5)
    result = run_md(atoms, fitted.potential, settings)
    noted = read_journal(tmp_path, atoms, settings, '')
    for name, column in vars(result.trace).items():
        np.testing.assert_array_equal(getattr(noted.trace, name), column)
    assert (noted.steps_done, noted.n_selected) == (result.steps_done, result.n_selected)
    assert [frame.info for frame in noted.candidates] == [frame.info for frame in result.candidates]
    for seen, expected in zip(noted.candidates, result.candidates, strict=True):
        np.testing.assert_array_equal(seen.positions, expected.positions)
        np.testing.assert_array_equal(seen.arrays['gamma'], expected.arrays['gamma'])
    assert (tmp_path / RESTART).exists()


@pytest.mark.lammps
def test_restart_files_are_written_on_the_way(fitted, atoms, tmp_path):
    run_md(atoms, fitted.potential, dataclasses.replace(COLD, journal=str(tmp_path)))
    assert {f'{RESTART}{suffix}' for suffix in ROLLING} <= {path.name for path in tmp_path.iterdir()}


class TestSamples:
    """Frames handed back whatever their grade, in place of candidates."""

    SAMPLED = dataclasses.replace(COLD, steps=200, samples=4, max_candidates=4)

    @pytest.mark.lammps
    def test_they_come_from_the_steps_that_the_settings_say(self, fitted, atoms):
        result = run_md(atoms, fitted.potential, self.SAMPLED)
        assert [frame.info['step'] for frame in result.candidates] == sorted(self.SAMPLED.sample_steps)
        assert max(frame.info['gamma_max'] for frame in result.candidates) < COLD.gamma_select
        predicted = evaluate_frames(Frames.from_atoms(result.candidates), fitted.potential)
        energies = result.trace.potential_energy[np.isin(result.trace.step, list(self.SAMPLED.sample_steps))]
        np.testing.assert_allclose(predicted.energy, energies, atol=1e-7)

    @pytest.mark.lammps
    def test_a_high_grade_makes_no_sample(self, fitted, atoms):
        result = run_md(atoms, fitted.potential, dataclasses.replace(self.SAMPLED, gamma_select=1e-6))
        assert len(result.candidates) == 4

    @pytest.mark.lammps
    def test_the_check_that_stops_the_run_gives_none(self, fitted, atoms):
        """At each check there would be a sample; the last one, whose bond is too short, is left out."""
        every = dataclasses.replace(HOT, temperature=6000.0, steps=2000, timestep=4.0, samples=200, max_candidates=200)
        result = run_md(atoms, fitted.potential, dataclasses.replace(every, gamma_halt=1e9, min_bond_fraction=0.8))
        assert result.stop is TrajectoryEnd.BOND
        assert result.steps_done not in {frame.info['step'] for frame in result.candidates}
