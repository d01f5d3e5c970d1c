"""Every strategy but the first four: known answers, exact compositions, recovered strains, and refusals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.amorphous import Amorphous
from aiida_mlip_autopipe.science.generate.antisite import Antisites
from aiida_mlip_autopipe.science.generate.deform import Deform
from aiida_mlip_autopipe.science.generate.dimer import Dimers
from aiida_mlip_autopipe.science.generate.divacancy import Divacancies
from aiida_mlip_autopipe.science.generate.elastic import Elastic
from aiida_mlip_autopipe.science.generate.eos import EquationOfState
from aiida_mlip_autopipe.science.generate.frenkel import FrenkelPairs
from aiida_mlip_autopipe.science.generate.interstitial import Interstitials
from aiida_mlip_autopipe.science.generate.phonon import Phonons
from aiida_mlip_autopipe.science.generate.radii import estimated_parameter
from aiida_mlip_autopipe.science.generate.rattle import Rattle, debye_stdev, einstein_stdev
from aiida_mlip_autopipe.science.generate.stacking_fault import StackingFaults
from aiida_mlip_autopipe.science.generate.strategy import System
from aiida_mlip_autopipe.science.generate.surface import Surfaces
from aiida_mlip_autopipe.science.generate.swap import Swaps
from aiida_mlip_autopipe.science.generate.voronoi import interstitial_sites

PURE = System(('Al',), 'fcc', (({'Al': 1.0},),), {'Al': 4.05}, ((2, 2, 2),))
ALLOY = System(('Al', 'Mg'), 'fcc', (({'Al': 0.75, 'Mg': 0.25},),), {'Al': 4.05, 'Mg': 4.5}, ((2, 2, 2),))


def made(strategy: Any, given: Any, seed: int = 0) -> list[Atoms]:
    return list(strategy(given, np.random.default_rng(seed)))


def cell_of_alloy() -> Atoms:
    atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
    atoms.numbers[:3] = 12
    return atoms


def told(atoms: Atoms) -> dict[str, Any]:
    return dict(json.loads(atoms.info['origin']))


def strain_of(before: Atoms, after: Atoms) -> np.ndarray:
    epsilon = np.linalg.solve(before.cell.array, after.cell.array) - np.eye(3)
    return epsilon[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def test_strains_are_recovered_from_the_cell() -> None:
    atoms = cell_of_alloy()
    grid = Deform(uniaxial=(0.02,), biaxial=(-0.01,), shear=(0.03,), general=5, max_strain=0.04)
    structures = made(grid, atoms)
    found = np.array([strain_of(atoms, a) for a in structures])
    np.testing.assert_allclose(found[:3], 0.02 * np.eye(6)[:3], atol=1e-12)
    np.testing.assert_allclose(found[3:6].sum(axis=1), -0.02, atol=1e-12)
    np.testing.assert_allclose(found[6:9], 0.03 * np.eye(6)[3:], atol=1e-12)
    assert np.abs(found[9:]).max() <= 0.04
    for structure, strain in zip(structures, found, strict=True):
        names = ('xx', 'yy', 'zz', 'yz', 'xz', 'xy')
        np.testing.assert_allclose([told(structure)['components'][name] for name in names], strain, atol=1e-9)


def test_sobol_points_fill_each_component_evenly() -> None:
    atoms = cell_of_alloy()
    found = np.array([strain_of(atoms, a) for a in made(Deform(general=64, max_strain=0.05), atoms)])
    for component in found.T:
        assert np.histogram(component, bins=8, range=(-0.05, 0.05))[0].tolist() == [8] * 8


def test_equation_of_state_has_the_volumes() -> None:
    atoms = cell_of_alloy()
    volumes = [a.get_volume() / atoms.get_volume() for a in made(EquationOfState(10, (0.8, 1.25)), atoms)]
    np.testing.assert_allclose(volumes, np.linspace(0.8, 1.25, 10))


def test_elastic_set_is_six_pairs_of_opposite_strains() -> None:
    atoms = cell_of_alloy()
    found = np.array([strain_of(atoms, a) for a in made(Elastic((0.01,)), atoms)])
    np.testing.assert_allclose(found[0::2], -found[1::2], atol=1e-12)
    np.testing.assert_allclose(found[0::2], np.diag([0.01] * 3 + [0.005] * 3), atol=1e-12)


@pytest.mark.parametrize(
    ('lattice', 'expected'),
    [('fcc', [0.5, np.sqrt(3) / 4]), ('bcc', [np.sqrt(5) / 4, 0.5]), ('hcp', [np.sqrt(0.5), np.sqrt(6) / 4])],
)
def test_interstitial_sites_are_the_known_ones(lattice: str, expected: list[float]) -> None:
    """Octahedral and tetrahedral sites by their distance to the nearest atoms, in units of a."""
    shape = {'covera': np.sqrt(8 / 3)} if lattice == 'hcp' else {}
    atoms = bulk('Al', lattice, a=4.0, **shape)
    sites = interstitial_sites(atoms, 1.0)
    gaps = []
    for site in sites:
        probe = atoms + Atoms('H', positions=[site])
        first, distances = neighbor_list('id', probe, 4.0)
        gaps.append(distances[first == len(atoms)].min() / 4.0)
    np.testing.assert_allclose(gaps, expected, atol=1e-6)


def test_interstitials_add_one_atom_of_each_element_at_each_site() -> None:
    structures = made(Interstitials(10, elements=('H', 'C')), bulk('Al', 'fcc', a=4.05, cubic=True))
    added = [a.symbols.formula.count() for a in structures]
    assert added == [{'Al': 4, 'H': 1}, {'Al': 4, 'C': 1}] * 2
    with pytest.raises(InputError, match=r'no 1 site\(s\) at least 9'):
        made(Interstitials(1, min_distance=9.0), bulk('Al'))


def test_defects_keep_or_change_the_composition_as_they_say() -> None:
    atoms = cell_of_alloy()
    before = atoms.copy()
    for structure in made(Swaps(5, per_cell=2), atoms):
        assert structure.symbols.formula.count() == atoms.symbols.formula.count()
        assert (structure.numbers != atoms.numbers).any() or len(told(structure)['pairs']) == 2
    for structure in made(Antisites(5, per_cell=2), atoms):
        assert (structure.numbers != atoms.numbers).sum() == 2
    for structure in made(Divacancies(3), atoms):
        first, second = told(structure)['sites']
        assert len(structure) == 6
        assert atoms.get_distance(first, second, mic=True) == pytest.approx(4.05 / np.sqrt(2))
    for structure in made(FrenkelPairs(3), atoms):
        assert (np.abs(structure.positions - atoms.positions).max(axis=1) > 1e-6).sum() == 1
        assert structure.symbols.formula.count() == atoms.symbols.formula.count()
    assert atoms == before
    assert made(Swaps(2), bulk('Al')) == made(Antisites(2), bulk('Al')) == []


def test_slabs() -> None:
    structures = made(Surfaces(((1, 0, 0), (1, 1, 1)), layers=3, repeat=(2, 2), adatoms=1, steps=1), ALLOY)
    assert [told(a)['top'] for a in structures] == ['flat', 'adatom', 'step'] * 2
    for flat, adatom, step in zip(*[iter(structures)] * 3, strict=True):
        assert len(adatom) == len(flat) + 1
        assert len(step) < len(flat)
        heights = flat.positions[:, 2]
        assert flat.cell[2, 2] - np.ptp(heights) == pytest.approx(12.0, abs=0.01)
        assert neighbor_list('d', adatom, 5.0).min() > 2.0
    with pytest.raises(InputError, match=r'not all 0, got \(0, 0, 0\)'):
        Surfaces(((0, 0, 0),))


def test_a_slab_as_thick_as_asked_for() -> None:
    thin, thick = (made(Surfaces(((1, 0, 0),), thickness=thickness), PURE)[0] for thickness in (3.0, 9.0))
    assert [told(atoms)['layers'] for atoms in (thin, thick)] == [1, 3]  # periods of 4.05 Å
    assert thick.cell[2, 2] - thin.cell[2, 2] == pytest.approx(2 * 4.05)
    with pytest.raises(InputError, match='thickness must be above 0 Å, got 0'):
        Surfaces(thickness=0.0)


def test_a_grid_has_all_combinations() -> None:
    atoms = cell_of_alloy()
    structures = made(Deform(grid={'xy': (-0.01, 0.01), 'xx': (0.0, 0.02, 0.04)}), atoms)
    found = [strain_of(atoms, structure)[[0, 5]].round(9).tolist() for structure in structures]
    assert sorted(found) == [[x, s] for x in (0.0, 0.02, 0.04) for s in (-0.01, 0.01)]
    assert len(made(Deform(grid={'xx': (0.0, 0.01), 'yz': (0.0,)}), atoms)) == 1  # not the cell as it is
    with pytest.raises(InputError, match=r"grid has \['zx'\]; the components are xx, yy"):
        Deform(grid={'zx': (0.1,)})


def layers_above(atoms: Atoms) -> list[int]:
    """Return the number of neighbours of each atom at the distance of nearest neighbours."""
    first = neighbor_list('i', atoms, 1.02 * 4.05 / np.sqrt(2))
    return np.bincount(first, minlength=len(atoms)).tolist()


def test_the_full_slide_is_the_intrinsic_fault() -> None:
    half, full = made(StackingFaults(2, layers=6), PURE)
    assert layers_above(full) == [12] * 6  # close-packed again, the third neighbours alone differ
    assert min(layers_above(half)) < 12
    perfect = bulk('Al', a=4.05)
    thirds = [np.isclose(neighbor_list('d', a, 4.7), 4.05 * np.sqrt(4 / 3), atol=0.05).sum() for a in (full, perfect)]
    assert thirds[0] > 0 == thirds[1]  # the neighbours straight above each other that only hcp stacking has
    assert full.get_volume() == pytest.approx(6 * 4.05**3 / 4)
    with pytest.raises(InputError, match='got 8; fcc needs a multiple of 3'):
        made(StackingFaults(layers=8), PURE)


@pytest.mark.parametrize('layers', [4, 6])
def test_the_full_slide_of_hcp_is_close_packed_too(layers: int) -> None:
    a = 4.05 / np.sqrt(2)
    system = System(('Mg',), 'hcp', (({'Mg': 1.0},),), {'Mg': a}, ((2, 2, 2),))
    half, full = made(StackingFaults(2, layers=layers), system)
    assert layers_above(full) == [12] * layers  # the intrinsic fault I2: ABAB|CACA
    assert min(layers_above(half)) < 12
    straight = np.isclose(neighbor_list('d', full, 4.9), a * np.sqrt(8 / 3), atol=0.02).sum() / layers
    assert straight < 2  # in hcp each atom has two neighbours straight above and below, at a c/a
    with pytest.raises(InputError, match='got 5; hcp needs a multiple of 2'):
        made(StackingFaults(layers=5), system)


def test_dimers_of_all_pairs() -> None:
    structures = made(Dimers(5), ALLOY)
    assert len(structures) == 3 * 5
    assert [told(a)['factor'] for a in structures[:5]] == pytest.approx(np.linspace(0.7, 2.0, 5))
    for atoms in structures:
        assert atoms.get_distance(0, 1, mic=True) == pytest.approx(told(atoms)['distance'], abs=1e-5)
    with pytest.raises(InputError, match='box must be at least'):
        made(Dimers(box=8.0), ALLOY)


def test_amorphous_atoms_keep_apart_at_the_density() -> None:
    for atoms in made(Amorphous(2, 32, (0.9, 1.0), 0.75), ALLOY):
        assert atoms.symbols.formula.count() == {'Al': 24, 'Mg': 8}
        assert neighbor_list('d', atoms, 3.0).min() >= 0.75 * 2 * 1.21 - 1e-9
        crystal = (0.75 * 4.05 + 0.25 * 4.5) ** 3 / 4
        assert atoms.get_volume() / 32 == pytest.approx(crystal / told(atoms)['density'], rel=1e-5)
    with pytest.raises(InputError, match=r'cannot be kept 1\.4 times'):
        made(Amorphous(1, 32, (1.0, 1.0), 1.4), ALLOY)


def test_phonons_displace_one_atom() -> None:
    pytest.importorskip('phonopy')
    atoms = bulk('Al', a=4.05).repeat((2, 2, 2))
    (displaced,) = made(Phonons(0.02), atoms)  # one displacement is enough for fcc
    moved = np.linalg.norm(displaced.positions - atoms.positions, axis=1)
    np.testing.assert_allclose(np.sort(moved), [0.0] * 7 + [0.02], atol=1e-9)


@pytest.mark.parametrize(
    ('prototype', 'elements', 'a'),
    [('fcc', ['Al'], 4.05), ('bcc', ['W'], 3.165), ('hcp', ['Mg'], 3.21), ('B1', ['Mg', 'O'], 4.21), ('diamond', ['Si'], 5.43)],
)
def test_estimated_parameters_are_near_those_measured(prototype: str, elements: list[str], a: float) -> None:
    assert estimated_parameter(prototype, elements) == pytest.approx(a, rel=0.06)


def test_an_element_without_radius() -> None:
    with pytest.raises(InputError, match="'Rf' is unknown to the table of radii"):
        estimated_parameter('B1', ['Rf', 'O'])


class TestRattle:
    def test_each_element_has_its_own_width(self) -> None:
        atoms = bulk('Al', a=4.05).repeat((10, 10, 10))
        atoms.numbers[::2] = 12
        (rattled,) = Rattle(1, 0.1, stdev_by_element={'Mg': 0.02})(atoms, np.random.default_rng(0))
        moved = rattled.positions - atoms.positions
        assert moved[atoms.numbers == 13].std() == pytest.approx(0.1, rel=0.05)
        assert moved[atoms.numbers == 12].std() == pytest.approx(0.02, rel=0.05)

    def test_debye_amplitude_of_copper(self) -> None:
        # B = 8 π² σ² = 0.55 Å² at 295 K for θ = 315 K (International Tables C: 0.54 to 0.57)
        assert 8 * np.pi**2 * debye_stdev(63.55, 295.0, 315.0) ** 2 == pytest.approx(0.55, abs=0.03)
        assert debye_stdev(63.55, 0.0, 315.0) > 0

    def test_einstein_amplitude_in_its_limits(self) -> None:
        # classical: σ² = k T / (m ω²); zero-point: σ² = ħ / (2 m ω), with ω = k θ / ħ; copper, θ = 240 K
        hbar, k, mass = 1.054571817e-34, 1.380649e-23, 63.55 * 1.66053907e-27
        omega = k * 240.0 / hbar
        assert einstein_stdev(63.55, 2400.0, 240.0) ** 2 == pytest.approx(k * 2400.0 / (mass * omega**2) * 1e20, rel=1e-3)
        assert einstein_stdev(63.55, 0.0, 240.0) ** 2 == pytest.approx(hbar / (2 * mass * omega) * 1e20, rel=1e-6)
        assert einstein_stdev(63.55, 1e-3, 240.0) == pytest.approx(einstein_stdev(63.55, 0.0, 240.0))

    def test_the_models_agree_when_hot(self) -> None:
        # σ² = 3 ħ² T / (m k θ_D²) and ħ² T / (m k θ_E²): equal for θ_E = θ_D / √3
        assert einstein_stdev(63.55, 3000.0, 315.0 / np.sqrt(3)) == pytest.approx(debye_stdev(63.55, 3000.0, 315.0), rel=2e-3)

    def test_einstein_needs_a_temperature(self) -> None:
        with pytest.raises(InputError, match=r'einstein_temperature 200\.0 K needs a temperature'):
            Rattle(1, 0.1, einstein_temperature=200.0)

    def test_no_pair_below_the_limit(self) -> None:
        atoms = bulk('Al', a=4.05).repeat((3, 3, 3))
        for rattled in Rattle(3, 0.25, min_distance=2.3)(atoms, np.random.default_rng(0)):
            assert neighbor_list('d', rattled, 3.0).min() >= 2.3

    def test_a_limit_that_cannot_be_met(self) -> None:
        with pytest.raises(InputError, match=r'do not keep the atoms of .* 2\.86 Å apart'):
            Rattle(1, 0.4, min_distance=2.86).one(bulk('Al', a=4.05).repeat((3, 3, 3)), np.random.default_rng(0))


@pytest.mark.parametrize(
    ('factory', 'settings', 'said'),
    [
        (Deform, {'shear': (0.4,)}, 'larger ones invert a cell'),
        (EquationOfState, {'volumes': (1.2, 0.8)}, 'from a low to a high one'),
        (Elastic, {'sizes': ()}, r'must lie in 0..0.3'),
        (Interstitials, {'count': -1}, 'got -1'),
        (Interstitials, {'count': 1, 'elements': ('Qq',)}, "'Qq'"),
        (FrenkelPairs, {'count': -1}, 'got -1'),
        (Divacancies, {'count': 1, 'reach': 0.5}, 'reach >= 1'),
        (Antisites, {'count': 1, 'per_cell': 0}, 'per_cell >= 1'),
        (Swaps, {'count': -1}, 'got -1'),
        (StackingFaults, {'count': 0}, 'count, repeat >= 1'),
        (Amorphous, {'n_atoms': 1}, 'n_atoms >= 2'),
        (Phonons, {'distance': 0.0}, r'in 0..1 Å'),
        (Dimers, {'distances': (2.0, 1.0)}, 'from a short to a long one'),
    ],
)
def test_out_of_range(factory: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        factory(**settings)
