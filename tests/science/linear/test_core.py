import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.engines.pod import descriptors as descriptors_module
from aiida_mlip_autopipe.engines.pod.descriptors import PodDescriptors
from aiida_mlip_autopipe.engines.pod.files import COEFFICIENTS, PARAMETERS, coefficient_text, pair_lines, parameter_text
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.science.checks.wall import wall_finding, wall_paths
from aiida_mlip_autopipe.science.linear import search as search_module
from aiida_mlip_autopipe.science.linear.core import FIRST_SHARE, TOLERANCES, CorePath, Zbl, ZblCore, core_factor, core_paths
from tests import pod_data

CORE = ZblCore(1.3, 1.9)
DISTANCES = np.linspace(0.8, 2.5, 18)


class TestZbl:
    @pytest.mark.parametrize('order', [1, 2])
    def test_derivatives(self, order):
        zbl, step = Zbl('Cu', 'Au'), 1e-5
        numerical = (zbl.energy(DISTANCES + step, order - 1) - zbl.energy(DISTANCES - step, order - 1)) / (2 * step)
        np.testing.assert_allclose(zbl.energy(DISTANCES, order), numerical, rtol=1e-6)

    def test_it_falls_with_the_distance_and_with_the_charge(self):
        assert (np.diff(Zbl('Cu', 'Au').energy(DISTANCES)) < 0).all()
        assert (Zbl('Cu', 'Cu').energy(DISTANCES) < Zbl('Au', 'Au').energy(DISTANCES)).all()
        np.testing.assert_allclose(Zbl('Cu', 'Au').energy(DISTANCES), Zbl('Au', 'Cu').energy(DISTANCES))

    @pytest.mark.lammps
    @pytest.mark.parametrize('pair', [('Cu', 'Cu'), ('Cu', 'Au'), ('Al', 'Mg')])
    def test_the_switched_energy_is_that_of_lammps(self, pair):
        elements = tuple(dict.fromkeys(pair))
        lines = [f'pair_style zbl {CORE.inner} {CORE.outer}', *zbl_coefficients(elements)]
        found = []
        with LammpsSystem(elements) as system:
            for distance in DISTANCES:
                atoms = Atoms(pair, positions=[[0, 0, 0], [distance, 0, 0]], cell=[12] * 3, pbc=True)
                system.load(atoms, lines)
                found.append(system.predict().energy)
        np.testing.assert_allclose(Zbl(*pair).switched(DISTANCES, CORE), found, rtol=1e-5, atol=1e-6)

    def test_it_ends_smoothly(self):
        near = np.array([CORE.outer - 1e-4, CORE.outer, CORE.outer + 0.3])
        energies = Zbl('Cu', 'Cu').switched(near, CORE)
        assert 0 < abs(energies[0]) < 1e-8 or energies[0] == 0.0
        assert energies[1:].tolist() == [0.0, 0.0]


def zbl_coefficients(elements):
    from ase.data import atomic_numbers  # noqa: PLC0415

    numbers = [atomic_numbers[element] for element in elements]
    return [f'pair_coeff {i + 1} {j + 1} {numbers[i]} {numbers[j]}' for i in range(len(numbers)) for j in range(i, len(numbers))]


class TestPath:
    path = CorePath(
        rows=np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]]),
        full=np.array([1.0, 5.0, 20.0]),
        overlay=np.array([0.0, 0.0, 4.0]),
        is_told=np.array([False, True, True]),
    )

    def test_the_target_is_the_rise_that_the_overlay_lacks(self):
        table = self.path.weighted(1.0)
        np.testing.assert_allclose(table[:, -1], [4.0 / 5.0, 15.0 / 20.0])
        np.testing.assert_allclose(table[:, :-1], [[0.2, 0.0], [0.1, 0.05]])

    def test_a_smaller_tolerance_weighs_more(self):
        np.testing.assert_allclose(self.path.weighted(0.1), 10 * self.path.weighted(1.0))

    @pytest.mark.parametrize(('coefficients', 'fall'), [([1.0, 0.0], 0.0), ([-3.0, 0.0], 5.8), ([1.0, -8.0], 6.0)])
    def test_the_fall(self, coefficients, fall):
        assert self.path.fall(np.array(coefficients)) == pytest.approx(fall)

    def test_the_factor_has_all_told_rows(self):
        factor = core_factor([self.path, self.path], 1.0, 2.0)
        assert factor.n_rows == 4
        exact = np.linalg.solve(self.path.rows[1:], [4.0, 15.0])
        assert factor.squared_error(exact) == pytest.approx(0.0, abs=1e-12)
        assert factor.squared_error(np.zeros(2)) == pytest.approx(2 * 4 * (0.8**2 + 0.75**2))


@pytest.mark.lammps
class TestRows:
    def test_a_path_for_each_pair_far_from_the_data(self, tmp_path):
        frames = pod_data.training_frames(6)
        file = tmp_path / PARAMETERS
        file.write_text(parameter_text(pod_data.ELEMENTS, 'S', pod_data.CUTOFF))
        with PodDescriptors(pod_data.ELEMENTS, file, core=CORE) as source:
            paths = core_paths(frames, pod_data.ELEMENTS, source)
        assert len(paths) == 3
        for path in paths:
            assert path.rows.shape == (11, 122)
            assert (path.rows[0] == 0).all()
            assert path.is_told.tolist() == [False] * 3 + [True] * 8, FIRST_SHARE
            assert path.rows[:, [0, 61]] == pytest.approx(0.0), 'no atom is gained or lost'


@pytest.fixture(scope='module')
def cold():
    """Frames of hardly displaced atoms: nothing in them says what close atoms do."""
    rng = np.random.default_rng(5)
    return Frames.from_atoms([pod_data.labelled(pod_data.alloy(rng, (i % 5) / 4, rattle=0.02)) for i in range(32)])


@pytest.mark.lammps
class TestWalls:
    settings = PodSettings(elements=pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, basis='S', ridge=1e-12)

    def walls(self, fit, frames, folder):
        potential = LammpsPotential(pod_data.ELEMENTS, tuple(pair_lines(pod_data.ELEMENTS, fit.core, str(folder))), 4.5)
        paths = wall_paths(frames, pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, depth=0.5, n_points=26)
        energies = [evaluate_frames(Frames.from_atoms(path.structures), potential).energy for path in paths]
        return [wall_finding(path, row, limit=0.01) for path, row in zip(paths, energies, strict=True)]

    def test_a_fit_without_rows_of_the_core_digs_holes(self, cold, tmp_path, monkeypatch):
        """All functions with the same prior, and no stresses: a narrower one for rough functions, or stresses, bridge these."""
        monkeypatch.setattr(descriptors_module, 'ROUGHER', 1.0)
        monkeypatch.setattr(search_module, 'core_paths', lambda *_: [])
        fit = fit_pod(cold, pod_data.REFERENCES, dataclasses.replace(self.settings, stress_weight=0.0), tmp_path)
        assert fit.report.core_tolerance is None
        assert not all(found.passed for found in self.walls(fit, cold, tmp_path))

    def test_with_them_all_walls_rise(self, cold, tmp_path):
        fit = fit_pod(cold, pod_data.REFERENCES, self.settings, tmp_path)
        assert fit.report.core_tolerance in TOLERANCES
        assert all(found.passed for found in self.walls(fit, cold, tmp_path))

    def test_they_cost_little_accuracy(self, cold, tmp_path, monkeypatch):
        rng = np.random.default_rng(6)
        fresh = Frames.from_atoms([pod_data.labelled(pod_data.alloy(rng, 0.5, rattle=0.02)) for _ in range(8)])
        errors = []
        for paths in (core_paths, lambda *_: []):
            monkeypatch.setattr(search_module, 'core_paths', paths)
            fit = fit_pod(cold, pod_data.REFERENCES, self.settings, tmp_path)
            found = evaluate_frames(fresh, pod_data.potential_of(fit, tmp_path))
            errors.append(np.sqrt(np.mean((found.forces - fresh.forces) ** 2)))
        assert errors[0] < 1.5 * errors[1]

    def test_a_potential_that_attracts_without_end_is_found(self, cold, tmp_path):
        """Coefficients of the wrong sign: whatever repelled attracts now."""
        fit = fit_pod(cold, pod_data.REFERENCES, dataclasses.replace(self.settings, core=False), tmp_path)
        assert fit.core is None
        (tmp_path / COEFFICIENTS).write_text(coefficient_text(-fit.coefficients))
        assert not any(found.passed for found in self.walls(fit, cold, tmp_path))

    def test_emt_itself_has_walls(self, cold):
        """The construction asks the reference nothing that it would fail."""
        for path in wall_paths(cold, pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, depth=0.7, n_points=8):
            energies = []
            for atoms in path.structures:
                atoms.calc = EMT()
                energies.append(atoms.get_potential_energy())
            assert wall_finding(path, np.array(energies), limit=0.01).passed
