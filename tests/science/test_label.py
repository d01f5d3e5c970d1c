"""`Label`: what makes a label unusable, and how it is put on a structure."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.science.label import Label

FORCES = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
STRESS = np.arange(6.0)
CAP = 50.0


def atoms() -> Atoms:
    return Atoms('CuAu', positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True, info={'uid': 'abc', 'lineage': 'root'})


class TestFailure:
    @pytest.mark.parametrize('stress', [STRESS, None])
    def test_none(self, stress: np.ndarray | None) -> None:
        assert Label(-1.0, FORCES, stress).failure(force_cap=CAP) is None

    def test_energy_of_zero_is_an_energy(self) -> None:
        assert Label(0.0, FORCES).failure(force_cap=CAP) is None

    def test_not_converged_comes_first(self) -> None:
        assert Label(None, None).failure(force_cap=CAP, is_converged=False) == FrameFailure(Reason.SCF_NOT_CONVERGED)

    @pytest.mark.parametrize(('energy', 'forces'), [(None, FORCES), (1.0, None), (None, None)])
    def test_missing(self, energy: float | None, forces: np.ndarray | None) -> None:
        missing = FrameFailure(Reason.OUTPUT_INCOMPLETE, 'energy or forces are missing')
        assert Label(energy, forces, STRESS).failure(force_cap=CAP) == missing

    @pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize('quantity', ['energy', 'forces', 'stress'])
    def test_not_finite(self, quantity: str, value: float) -> None:
        values = {'energy': 1.0, 'forces': FORCES.copy(), 'stress': STRESS.copy()}
        if quantity == 'energy':
            values['energy'] = value
        else:
            values[quantity].flat[-1] = value
        assert Label(**values).failure(force_cap=CAP) == FrameFailure(Reason.NOT_FINITE)

    def test_cap_is_on_the_length_of_the_force(self) -> None:
        label = Label(1.0, FORCES)  # the longest force is 5 eV/Å, its largest component 4
        assert label.failure(force_cap=4.9) == FrameFailure(Reason.FORCE_CAP, '5 eV/Å')
        assert label.failure(force_cap=5.0) is None


class TestPutOn:
    def test_values_and_metadata(self) -> None:
        labelled = Label(-1.5, FORCES, STRESS).put_on(atoms(), fingerprint='00ff', label_uuid='5f3c')
        (found,) = Frames.from_atoms([labelled])
        assert found.get_potential_energy() == -1.5
        np.testing.assert_array_equal(found.get_forces(), FORCES)
        np.testing.assert_array_equal(found.get_stress(), STRESS)
        info = {'uid': 'abc', 'lineage': 'root', 'fingerprint': '00ff', 'label_uuid': '5f3c'}
        assert info.items() <= found.info.items()

    def test_no_stress(self) -> None:
        labelled = Label(-1.5, FORCES).put_on(atoms(), fingerprint='00ff')
        assert 'stress' not in labelled.calc.results
        assert labelled.info['label_uuid'] == ''
        assert not Frames.from_atoms([labelled]).has_stress.any()

    def test_argument_is_left_alone(self) -> None:
        before = atoms()
        labelled = Label(-1.5, FORCES).put_on(before, fingerprint='00ff')
        labelled.positions += 1.0
        assert before == atoms()
        assert before.info == atoms().info
        assert before.calc is None
