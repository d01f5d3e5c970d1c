"""The formation energy of a vacancy, and relaxed places in another cell."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.quantity import Quantity
from aiida_mlip_autopipe.science.properties.vacancy import PERFECT, VACANCY, VacancyProperty, with_places_of
from tests.science.properties.crystals import at_rest, copper, measured

ASKED = VacancyProperty(supercell=(3, 3, 3))


def test_the_formula_by_hand() -> None:
    crystal = at_rest(copper())
    perfect = crystal.atoms.repeat((3, 3, 3))
    energies = []
    for atoms in (perfect, perfect[1:]):
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
    assert measured(ASKED, crystal)['E_vacancy'] == pytest.approx(energies[1] - 26 / 27 * energies[0])


def test_larger_cells_change_little() -> None:
    crystal = at_rest(copper())
    small, large = (measured(VacancyProperty(supercell=(n, n, n)), crystal)['E_vacancy'] for n in (3, 5))
    assert small == pytest.approx(large, abs=0.03)
    assert 1.0 < large < 1.4  # EMT, unrelaxed: 1.24 eV


def test_parts() -> None:
    frames = ASKED.frames(copper())
    assert {part: len(atoms) for part, atoms in frames.items()} == {PERFECT: 27, VACANCY: 26}
    assert frames[PERFECT].cell.volume == frames[VACANCY].cell.volume


def test_only_elements_have_one() -> None:
    assert ASKED.applies(copper())
    assert not ASKED.applies(Crystal.standardized('NaCl', bulk('NaCl', 'rocksalt', a=5.6)))


def test_relaxed_places_in_another_cell() -> None:
    ideal = ASKED.frames(copper())[VACANCY]
    relaxed = ideal.copy()
    moves = np.random.default_rng(0).normal(0, 0.05, relaxed.positions.shape)
    moves -= moves.mean(axis=0)
    relaxed.positions += moves + np.array([0.4, -0.2, 0.1])  # a shift of everything means nothing
    relaxed.wrap()
    larger = ideal.copy()
    larger.set_cell(1.02 * larger.cell.array, scale_atoms=True)
    found = with_places_of(larger, relaxed)
    np.testing.assert_allclose(found.positions - larger.positions, 1.02 * moves, atol=1e-10)
    np.testing.assert_allclose(found.cell.array, larger.cell.array)


def test_the_limit_is_absolute() -> None:
    assert ASKED.limit(Quantity('E_vacancy', 1.0, 'eV')).allowed(0.5) == 0.1
