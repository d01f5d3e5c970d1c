import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.lammps.nve import (
    MIN_ATOMS,
    Conservation,
    NveSettings,
    base_indices,
    base_structures,
    conservation,
    conservation_findings,
    run_nve,
)
from tests import pod_data

GOOD = {'temperature': 300.0, 'steps': 100, 'timestep': 1.0, 'seed': 1}
SETTINGS = NveSettings(**GOOD)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'temperature': 0.0}, 'temperature is 0.0, expected more than 0'),
        ({'timestep': -1.0}, 'timestep is -1.0, expected more than 0'),
        ({'steps': 9}, 'steps is 9, expected at least 10'),
        ({'seed': 0}, 'seed is 0, expected 1 to 2147483647'),
    ],
)
def test_settings_out_of_range(changed, message):
    with pytest.raises(InputError, match=message):
        NveSettings(**{**GOOD, **changed})


def test_times():
    assert NveSettings(**{**GOOD, 'timestep': 2.0, 'steps': 25}).times.tolist() == [0.0, 20.0, 40.0]


class TestBaseStructures:
    def frames(self):
        rng = np.random.default_rng(0)
        structures = []
        for index in range(6):
            atoms = pod_data.alloy(rng, 0.5)
            atoms.info = {'uid': f'u{index}', 'lineage': f'u{index - index % 2 + 1}' if index < 4 else 'elsewhere'}
            structures.append(atoms)
        return Frames.from_atoms(structures)

    def test_the_root_of_each_lineage(self):
        assert base_indices(self.frames(), 10).tolist() == [1, 3, 4]

    def test_without_a_root_the_frame_with_the_least_force(self):
        """A shaken start would turn its energy into heat."""
        frames = self.frames()
        shaken, calm = np.ones(frames.forces.shape), np.zeros(frames.forces.shape)
        calm[:, 0] = 0.1
        forces = np.where(np.arange(len(frames.forces))[:, None] < frames.offsets[5], shaken, calm)
        assert base_indices(frames.replace(forces=forces), 10).tolist() == [1, 3, 5], 'a root counts whatever its forces'

    def test_at_most_as_many_as_wanted_from_all_over_the_set(self):
        assert base_indices(self.frames(), 2).tolist() == [1, 4]

    def test_small_cells_are_repeated(self):
        (atoms,) = base_structures(Frames.from_atoms([bulk('Cu')]), 3)
        assert len(atoms) == MIN_ATOMS
        np.testing.assert_allclose(atoms.cell.array, 2 * bulk('Cu').cell.array)

    def test_others_are_taken_as_they_are(self):
        assert [len(atoms) for atoms in base_structures(self.frames(), 10)] == [8, 8, 8]


class TestConservation:
    times = np.arange(0.0, 1001.0, 10.0)

    def test_a_constant_energy(self):
        found = conservation(self.times, np.full(101, -37.0), 8)
        assert (found.drift, found.fluctuation) == pytest.approx((0.0, 0.0), abs=1e-9)

    def test_a_slope_is_per_atom_and_ps(self):
        found = conservation(self.times, -37.0 + 0.008 * self.times / 1000, 8)
        assert (found.drift, found.fluctuation) == pytest.approx((1.0, 0.0), abs=1e-9)

    def test_a_wave_is_a_fluctuation(self):
        found = conservation(self.times, 0.008 * np.sqrt(2) * np.sin(2 * np.pi * self.times / 50), 8)
        assert found.fluctuation == pytest.approx(1.0, rel=0.02)
        assert abs(found.drift) < 0.2

    def test_the_worst_of_each_kind_is_told(self):
        found = [('a', Conservation(-2.0, 0.1)), ('b', Conservation(0.5, 0.3))]
        drift, fluctuation = conservation_findings(found, drift=1.0, fluctuation=1.0)
        assert (drift.passed, drift.value, fluctuation.passed, fluctuation.value) == (False, 2.0, True, 0.3)
        assert 'drifts by up to -2 meV/atom per ps (a, 2 base structures); the limit is 1' in drift.message
        assert '(b, 2 base structures)' in fluctuation.message

    def test_not_a_number_fails(self):
        found = conservation_findings([('a', Conservation(float('nan'), float('nan')))], drift=1.0, fluctuation=1.0)
        assert [finding.passed for finding in found] == [False, False]


@pytest.mark.lammps
class TestRun:
    pair = LammpsPotential(('Cu',), ('pair_style morse 6.0', 'pair_coeff * * 0.34 1.36 2.87'), 6.0)

    def test_a_smooth_potential_keeps_its_energy(self):
        energies = run_nve(bulk('Cu', cubic=True) * 2, self.pair, SETTINGS)
        assert energies.shape == (11,)
        found = conservation(SETTINGS.times, energies, 32)
        assert found.fluctuation < 0.5

    def test_the_same_seed_gives_the_same_run(self):
        atoms = bulk('Cu', cubic=True) * 2
        assert run_nve(atoms, self.pair, SETTINGS).tolist() == run_nve(atoms, self.pair, SETTINGS).tolist()
        other = dataclasses.replace(SETTINGS, seed=2)
        assert run_nve(atoms, self.pair, other).tolist() != run_nve(atoms, self.pair, SETTINGS).tolist()

    def test_a_jump_at_the_cutoff_shows(self):
        """A pair potential that ends in the middle of its well: atoms that cross the end gain or lose energy."""
        rough = LammpsPotential(('Cu',), ('pair_style morse 3.7', 'pair_coeff * * 0.34 1.36 2.87'), 3.7)
        hot = NveSettings(temperature=1500.0, steps=500, timestep=1.0, seed=1)
        found = conservation(hot.times, run_nve(bulk('Cu', cubic=True) * 2, rough, hot), 32)
        assert max(abs(found.drift), found.fluctuation) > 5.0

    def test_an_isolated_atom_is_refused(self):
        with pytest.raises(InputError, match='no neighbour'):
            run_nve(Atoms('Cu', cell=[20] * 3, pbc=True), self.pair, SETTINGS)

    def test_a_pair_style_that_is_not_there(self):
        pace = LammpsPotential(('Cu',), ('pair_style pace', 'pair_coeff * * a.yace Cu'), 6.0)
        with pytest.raises(EngineError, match='ML-PACE'):
            run_nve(bulk('Cu', cubic=True), pace, SETTINGS)
