"""Phonons of models whose frequencies are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.data import atomic_masses, atomic_numbers
from ase.geometry import find_mic

from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.phonons import PhononsProperty
from aiida_mlip_autopipe.science.properties.quantity import Quantity
from tests.science.properties.crystals import at_rest, copper, measured, silicon, stillinger_weber

STIFFNESS = 2.0
"""eV/Å²"""

EDGE = 3.0
"""Å"""


class Springs(Calculator):
    """Each atom of a simple cubic crystal on springs to its six neighbours, which feel changes of their length alone."""

    implemented_properties = ['energy', 'forces', 'stress']

    def calculate(self, atoms=None, properties=None, system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        places = atoms.positions
        ideal = EDGE * np.rint(places / EDGE)
        forces, energy = np.zeros_like(places), 0.0
        for step in EDGE * np.vstack([np.eye(3), -np.eye(3)]):
            distances = np.linalg.norm(find_mic((ideal[:, None] + step - ideal[None]).reshape(-1, 3), atoms.cell)[0], axis=1)
            other = distances.reshape(len(atoms), -1).argmin(axis=1)
            stretch = ((places - ideal)[other] - (places - ideal)) @ step / EDGE
            forces += STIFFNESS * stretch[:, None] * step / EDGE
            energy += 0.25 * STIFFNESS * float((stretch**2).sum())
        self.results = {'energy': energy, 'forces': forces, 'stress': np.zeros(6)}


def test_a_chain_of_springs() -> None:
    crystal = Crystal('Po', Atoms('Po', cell=[EDGE] * 3, pbc=True))
    found = measured(PhononsProperty(supercell=(4, 4, 4), q_points=[(0.5, 0, 0), (0.25, 0, 0)]), crystal, Springs)
    # Only motion along the wave feels the springs: ω = 2 sqrt(k / m) sin(π q).
    top = 2 * np.sqrt(STIFFNESS / atomic_masses[atomic_numbers['Po']]) * units.fs * 1000 / (2 * np.pi)
    assert found['f3(0.5 0 0)'] == pytest.approx(top, rel=1e-3)
    assert found['f3(0.25 0 0)'] == pytest.approx(top * np.sin(np.pi / 4), rel=1e-3)
    assert [found[f'f{branch}(0.5 0 0)'] for branch in (1, 2)] == pytest.approx([0, 0], abs=1e-3)


def test_silicon_by_stillinger_and_weber() -> None:
    found = measured(PhononsProperty(q_points=[(0.0, 0.0, 0.0)]), at_rest(silicon(), stillinger_weber), stillinger_weber)
    # M. D. Kluge, J. R. Ray, A. Rahman, J. Chem. Phys. 85, 4028 (1986): the optical mode at Γ lies near 17.8 THz.
    assert [found[f'f{branch}(0 0 0)'] for branch in range(1, 4)] == pytest.approx([0] * 3, abs=0.01)
    assert [found[f'f{branch}(0 0 0)'] for branch in range(4, 7)] == pytest.approx([17.8] * 3, abs=0.3)


def test_symmetry_needs_one_displacement_of_an_element() -> None:
    asked = PhononsProperty(q_points=[(0.5, 0.5, 0.0)])
    frames = asked.frames(copper())
    assert list(frames) == ['displaced 0']
    assert len(frames['displaced 0']) == 8
    low, middle, high = measured(asked, at_rest(copper())).values()
    assert low == pytest.approx(middle)
    assert 4 < low < high < 9


def test_the_limit_is_absolute() -> None:
    assert PhononsProperty().limit(Quantity('f1', 1.0, 'THz')).allowed(9.0) == 0.5
