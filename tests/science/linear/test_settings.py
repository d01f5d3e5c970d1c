import dataclasses

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.linear.settings import LinearSettings, base_energies, compositions
from tests.pod_data import ELEMENTS, REFERENCES, training_frames

SETTINGS = LinearSettings(elements=ELEMENTS, cutoff=4.5)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'elements': ()}, r'elements \[\] must be at least one, each once'),
        ({'elements': ('Cu', 'Cu')}, r"elements \['Cu', 'Cu'\] must be at least one, each once"),
        ({'energy_weight': -1.0}, r"weights \{'energy': -1.0\}: expected at least 0 and finite"),
        ({'force_weight': float('inf')}, r"weights \{'force': inf\}"),
        ({'stress_weight': float('nan')}, r"weights \{'stress': nan\}"),
        ({'energy_weight': 0.0, 'force_weight': 0.0}, 'the weights of energy and force are both 0'),
        ({'ridge': 0.0}, 'ridge is 0.0, expected between 0 and 1'),
        ({'ridge': 1.0}, 'ridge is 1.0'),
        ({'ridge': float('nan')}, 'ridge is nan'),
        ({'n_predictions': 0}, 'n_predictions is 0, expected at least 1'),
    ],
)
def test_values_out_of_range_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        dataclasses.replace(SETTINGS, **change)


@pytest.mark.parametrize('change', [{'energy_weight': 0.0}, {'force_weight': 0.0}, {'energy_weight': None, 'force_weight': 0.0}])
def test_one_of_the_weights_may_be_zero(change):
    assert dataclasses.replace(SETTINGS, **change)


@pytest.mark.parametrize(('weight', 'uses'), [(None, True), (5.0, True), (0.0, False), (0, False)])
def test_a_stress_weight_of_zero_leaves_the_stresses_out(weight, uses):
    assert dataclasses.replace(SETTINGS, stress_weight=weight).uses_stress is uses


def test_compositions_count_atoms():
    frames = training_frames(5)
    found = compositions(frames, ELEMENTS)
    assert found.tolist() == [[8, 0], [6, 2], [4, 4], [2, 6], [0, 8]]
    assert compositions(frames, ['Au', 'Ag', 'Cu']).tolist() == [[0, 0, 8], [2, 0, 6], [4, 0, 4], [6, 0, 2], [8, 0, 0]]


class TestBase:
    frames = training_frames(10)
    counts = compositions(training_frames(10), ELEMENTS)

    def rms(self, base):
        return np.sqrt(np.mean(((self.frames.energy - self.counts @ base) / self.frames.counts) ** 2))

    def test_isolated_atoms_are_the_zero(self):
        found = base_energies(self.frames, REFERENCES, ELEMENTS[::-1], is_free=False)
        assert found.tolist() == [REFERENCES['Au'], REFERENCES['Cu']]

    def test_a_free_zero_absorbs_the_composition(self):
        base = base_energies(self.frames, REFERENCES, ELEMENTS, is_free=True)
        isolated = np.array([REFERENCES[element] for element in ELEMENTS])
        assert self.rms(base) < 0.1 < self.rms(isolated)

    @pytest.mark.parametrize('is_free', [True, False])
    def test_without_isolated_atoms_it_is_fitted(self, is_free):
        base = base_energies(self.frames, {}, ELEMENTS, is_free=is_free)
        np.testing.assert_allclose(base, base_energies(self.frames, REFERENCES, ELEMENTS, is_free=True))

    def test_energies_of_elements_alone_are_found_exactly(self):
        known = np.array([-1000.0, -25000.0])
        frames = self.frames.replace(energy=self.counts @ known)
        np.testing.assert_allclose(base_energies(frames, {}, ELEMENTS, is_free=True), known)

    def test_one_composition_gives_one_energy_per_atom(self):
        frames = self.frames.take([2, 7])
        base = base_energies(frames, {}, ELEMENTS, is_free=True)
        assert np.isfinite(base).all()
        assert base.sum() / 2 == pytest.approx(frames.energy.mean() / 8)
