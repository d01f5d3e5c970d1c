"""Elastic constants against published ones, energies, another library, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from pymatgen.analysis.elasticity import ElasticTensor, Strain, Stress

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.science.properties.crystal import Crystal, strained
from aiida_mlip_autopipe.science.properties.elastic import ElasticProperty, voigt_averages
from aiida_mlip_autopipe.science.properties.quantity import Quantity, Result
from tests.science.properties.crystals import REST, at_rest, copper, measured, results, silicon, stillinger_weber

ELASTIC = ElasticProperty(strain=0.005, displacement=0.01, error=0.15, floor=5.0)


def test_silicon_by_stillinger_and_weber() -> None:
    # H. Balamane, T. Halicioglu, W. A. Tiller, Phys. Rev. B 46, 2250 (1992): C11 151, C12 76, C44 56 GPa for relaxed ions.
    found = measured(ELASTIC, at_rest(silicon(), stillinger_weber), stillinger_weber)
    assert found == pytest.approx({'C11': 151.4, 'C12': 76.4, 'C44': 56.4}, abs=0.5)


def test_without_the_response_of_the_ions_the_shear_is_twice_as_stiff() -> None:
    crystal = at_rest(silicon(), stillinger_weber)
    found = results(ELASTIC.frames(crystal), stillinger_weber)
    clamped = (found['strain 4+'].stress - found['strain 4-'].stress)[3] / (2 * ELASTIC.strain) / GPA
    assert clamped == pytest.approx(109.8, abs=1.0)  # the same table: 110


def test_copper_by_emt_from_stresses_and_from_energies() -> None:
    crystal = at_rest(copper())
    found = measured(ELASTIC, crystal)
    shear, size = np.diag([1.0, -1.0, 0.0]), 0.004
    energies = [_energy(crystal, sign * size * shear) for sign in (-1, 0, 1)]
    # E = V (C11 - C12) ε² for the strain ε (1, -1, 0).
    tetragonal = (energies[0] - 2 * energies[1] + energies[2]) / (2 * size**2 * crystal.atoms.cell.volume) / GPA
    assert found['C11'] - found['C12'] == pytest.approx(tetragonal, rel=0.01)
    assert (found['C11'] + 2 * found['C12']) / 3 == pytest.approx(measured(REST, copper())['B0'], rel=0.01)


def _energy(crystal: Crystal, strain: np.ndarray) -> float:
    atoms = strained(crystal.atoms, strain)
    atoms.calc = EMT()
    return float(atoms.get_potential_energy())


def test_few_strains_say_as_much_as_all_of_them() -> None:
    crystal = at_rest(copper())
    assert len(ELASTIC.frames(crystal)) == 4
    strains = [Strain.from_voigt(sign * 0.005 * np.eye(6)[i]) for i in range(6) for sign in (1, -1)]
    stresses = []
    for strain in strains:
        atoms = strained(crystal.atoms, np.asarray(strain))
        atoms.calc = EMT()
        stresses.append(Stress(atoms.get_stress(voigt=False) / GPA))
    full = ElasticTensor.from_independent_strains(strains, stresses).voigt
    found = measured(ELASTIC, crystal)
    assert found == pytest.approx({'C11': full[0, 0], 'C12': full[0, 1], 'C44': full[3, 3]}, rel=0.005)


def test_a_hexagonal_crystal_keeps_the_law_of_its_symmetry() -> None:
    crystal = at_rest(Crystal.standardized('Cu', bulk('Cu', 'hcp', a=2.55, c=4.16)))
    assert len(ELASTIC.frames(crystal)) > 12
    tensor = ELASTIC.tensor(crystal, results(ELASTIC.frames(crystal))) / GPA
    assert tensor[5, 5] == pytest.approx((tensor[0, 0] - tensor[0, 1]) / 2, rel=0.02)
    assert set(measured(ELASTIC, crystal)) == {'C11', 'C33', 'C12', 'C13', 'C44'}


def test_other_families_have_their_averages() -> None:
    gold_copper = bulk('Cu', a=3.85, cubic=True)
    gold_copper.symbols[[2, 3]] = 'Au'
    gold_copper.set_cell([3.85, 3.85, 3.7], scale_atoms=True)
    assert set(measured(ELASTIC, Crystal.standardized('AuCu', gold_copper))) == {'K', 'G'}


def test_averages_of_an_isotropic_solid() -> None:
    lame, shear = 50.0, 30.0
    tensor = lame * np.pad(np.ones((3, 3)), (0, 3)) + shear * np.diag([2, 2, 2, 1, 1, 1])
    assert voigt_averages(tensor) == pytest.approx({'K': lame + 2 * shear / 3, 'G': shear})


def test_a_method_without_stress_is_told() -> None:
    found = {part: Result(r.atoms, r.energy, r.forces, None) for part, r in results(ELASTIC.frames(copper())).items()}
    with pytest.raises(InputError, match=r'the structure strain 1\+ has no stress'):
        ELASTIC.quantities(copper(), found)


def test_small_constants_have_a_floor() -> None:
    limit = ELASTIC.limit(Quantity('C12', 1.0, 'GPa'))
    assert limit.allowed(100.0) == pytest.approx(15.0)
    assert limit.allowed(-3.0) == pytest.approx(5.0)
