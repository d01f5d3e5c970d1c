import gc
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from pyace import PyACECalculator, catomicenvironment

from aiida_mlip_autopipe.common.errors import EngineError, InputError, InstallationError
from aiida_mlip_autopipe.engines.ace import evaluator as module
from aiida_mlip_autopipe.engines.ace.evaluator import AceEvaluator
from tests.ace_data import ASI, CUTOFF, ELEMENTS, FOLDER, YACE, YAML, alloy, kinds

ENERGY, FORCE, VIRIAL, GRADE = 1e-10, 1e-10, 1e-9, 1e-9
"""eV, eV/Å, eV and dimensionless: what one evaluator and another call of it differ by."""

UNITS = 1e-6
"""eV, of a virial, between pyace's calculator and the derivative that it stands for: constants of units."""

MANY_TIMES = 40


@pytest.fixture(scope='module')
def evaluator() -> AceEvaluator:
    return AceEvaluator(YAML, ELEMENTS, ASI)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the structures of which a list was built."""
    sizes: list[int] = []
    build = catomicenvironment.build_atomic_env

    def counted(positions: Any, *others: Any) -> Any:
        sizes.append(len(positions))
        return build(positions, *others)

    monkeypatch.setattr(catomicenvironment, 'build_atomic_env', counted)
    return sizes


def computed(evaluator: AceEvaluator, atoms: Atoms, *, with_grade: bool = False) -> module.Forces:
    return evaluator.compute(atoms.cell.array, atoms.positions, kinds(atoms), with_grade=with_grade)


def assert_same(found: module.Forces, expected: module.Forces) -> None:
    assert found.energy == pytest.approx(expected.energy, abs=ENERGY)
    np.testing.assert_allclose(found.forces, expected.forces, atol=FORCE)
    np.testing.assert_allclose(found.virial, expected.virial, atol=VIRIAL)


def assert_fresh(evaluator: AceEvaluator, atoms: Atoms) -> None:
    """What a list that moved gives is what a new one gives."""
    assert_same(computed(evaluator, atoms), computed(AceEvaluator(YAML, ELEMENTS), atoms))


@pytest.mark.parametrize('size', [(1, 1, 1), (1, 1, 2), (2, 2, 2), (3, 2, 1), (4, 4, 4)])
def test_it_equals_the_calculator_of_pyace(evaluator: AceEvaluator, size: tuple[int, int, int]) -> None:
    """In triclinic cells, smaller than the cutoff and larger."""
    atoms = alloy(size, seed=sum(size))
    evaluator.forget()
    found = computed(evaluator, atoms, with_grade=True)
    calculator = PyACECalculator(str(YAML))
    calculator.set_active_set(str(ASI))
    atoms.calc = calculator
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=ENERGY)
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=FORCE)
    np.testing.assert_allclose(evaluator.grade(), calculator.results['gamma'], atol=GRADE)
    virial = -atoms.get_volume() * voigt_6_to_full_3x3_stress(atoms.get_stress())
    np.testing.assert_allclose(found.virial, virial[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]], atol=UNITS)


def test_a_super_cell_repeats_the_cell(evaluator: AceEvaluator) -> None:
    """The images of a cell smaller than the cutoff are all there."""
    atoms = alloy((1, 1, 2))
    single, double = (computed(AceEvaluator(YAML, ELEMENTS), one) for one in (atoms, atoms * 3))
    assert double.energy == pytest.approx(27 * single.energy, abs=27 * ENERGY)
    np.testing.assert_allclose(double.forces, np.tile(single.forces, (27, 1)), atol=FORCE)


def test_the_virial_is_the_derivative_of_the_energy() -> None:
    atoms, step = alloy(), 1e-5
    found = computed(AceEvaluator(YAML, ELEMENTS), atoms).virial
    for index, (row, column) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[row, column] += sign * step / 2
            strain[column, row] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            energies.append(computed(AceEvaluator(YAML, ELEMENTS), strained).energy)
        assert found[index] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-5)


class TestList:
    """The list moves with the atoms, and is built anew before a pair can be missed."""

    def test_a_walk_through_the_boundaries_under_strain(self, builds: list[int]) -> None:
        evaluator, rng = AceEvaluator(YAML, ELEMENTS), np.random.default_rng(3)
        atoms = alloy((2, 2, 2))
        atoms.wrap()
        for _ in range(MANY_TIMES):
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.002, (3, 3))), scale_atoms=True)
            atoms.positions += rng.normal(0, 0.05, atoms.positions.shape) + 0.05
            if rng.random() < 0.3:
                atoms.wrap()
            before = len(builds)
            found = computed(evaluator, atoms)
            after = len(builds)
            assert after - before <= 1
            assert_same(found, computed(AceEvaluator(YAML, ELEMENTS), atoms))
            del builds[after:]
        assert 2 <= len(builds) < MANY_TIMES / 2

    @pytest.mark.parametrize('skin', [0.0, 0.1, 1.5])
    def test_any_skin_gives_the_same(self, skin: float) -> None:
        evaluator, atoms = AceEvaluator(YAML, ELEMENTS, skin=skin), alloy()
        for _ in range(3):
            atoms.rattle(0.03, rng=np.random.default_rng(1))
            assert_fresh(evaluator, atoms)

    def test_a_pair_that_comes_into_the_cutoff_is_seen(self, builds: list[int]) -> None:
        evaluator = AceEvaluator(YAML, ELEMENTS)
        pair = Atoms('AlMg', [[0, 0, 0], [CUTOFF + module.SKIN + 0.01, 0, 0]], cell=[20] * 3, pbc=True)
        assert computed(evaluator, pair).energy == 0.0
        pair.positions[0, 0] += module.SKIN / 2 - 0.01  # 2 max|u| counts, so half of the skin is the limit with a mean of 0
        pair.positions[1, 0] -= module.SKIN / 2 - 0.01
        assert computed(evaluator, pair).energy == 0.0
        assert len(builds) == 1
        pair.positions[1, 0] -= 0.5
        assert computed(evaluator, pair).energy != 0.0
        assert len(builds) == 2
        assert_fresh(evaluator, pair)

    def test_a_shift_of_everything_builds_nothing(self, builds: list[int]) -> None:
        evaluator, atoms = AceEvaluator(YAML, ELEMENTS), alloy()
        first = computed(evaluator, atoms)
        for _ in range(5):
            atoms.positions += [1.3, -0.4, 0.9]
            atoms.wrap()
            assert_same(computed(evaluator, atoms), first)
        assert len(builds) == 1

    @pytest.mark.parametrize(('strain', 'expected'), [(0.05, 1), (0.15, 2)])
    def test_a_strain_counts_by_the_range_of_the_list(self, builds: list[int], strain: float, expected: int) -> None:
        evaluator, atoms = AceEvaluator(YAML, ELEMENTS), alloy()
        computed(evaluator, atoms)
        atoms.set_cell(atoms.cell.array * (1 - strain), scale_atoms=True)
        found = computed(evaluator, atoms)
        assert len(builds) == expected
        assert_same(found, computed(AceEvaluator(YAML, ELEMENTS), atoms))

    def test_other_atoms_are_another_structure(self, builds: list[int]) -> None:
        evaluator, atoms = AceEvaluator(YAML, ELEMENTS), alloy()
        computed(evaluator, atoms)
        atoms.symbols = np.roll(atoms.get_chemical_symbols(), 1)
        assert_fresh(evaluator, atoms)
        assert_fresh(evaluator, atoms * (2, 1, 1))
        assert builds == [8, 8, 8, 16, 16]

    def test_nothing_is_left_of_a_structure_that_was_forgotten(self, builds: list[int]) -> None:
        evaluator, atoms = AceEvaluator(YAML, ELEMENTS), alloy()
        computed(evaluator, atoms)
        evaluator.forget()
        computed(evaluator, atoms)
        assert len(builds) == 2


class TestGrade:
    def test_it_is_that_of_the_last_structure_also_where_it_was_not_announced(self, evaluator: AceEvaluator) -> None:
        near, far = alloy(rattle=0.02), alloy(rattle=0.5)
        computed(evaluator, near, with_grade=True)
        first = evaluator.grade()
        computed(evaluator, far)
        second = evaluator.grade()
        np.testing.assert_array_equal(second, evaluator.grade())
        computed(evaluator, far, with_grade=True)
        np.testing.assert_allclose(second, evaluator.grade(), rtol=1e-9)
        assert np.abs(second - first).max() > 0.5

    def test_the_forces_do_not_depend_on_it(self, evaluator: AceEvaluator) -> None:
        atoms = alloy()
        assert_same(computed(evaluator, atoms, with_grade=True), computed(evaluator, atoms))

    def test_without_an_active_set_there_is_none(self) -> None:
        plain = AceEvaluator(YAML, ELEMENTS)
        computed(plain, alloy())
        with pytest.raises(InputError, match='needs its active set'):
            plain.grade()


def test_the_fast_form_is_the_same_potential() -> None:
    atoms = alloy((3, 2, 2))
    assert_same(computed(AceEvaluator(YACE, ELEMENTS), atoms), computed(AceEvaluator(YAML, ELEMENTS), atoms))


def test_an_atom_alone_has_no_energy(evaluator: AceEvaluator) -> None:
    found = computed(evaluator, Atoms('Al', cell=[20] * 3, pbc=True), with_grade=True)
    assert (found.energy, found.virial) == (0.0, [0.0] * 6)
    np.testing.assert_array_equal(found.forces, np.zeros((1, 3)))
    assert np.isfinite(evaluator.grade()).all()


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_positions_that_are_no_numbers_end_nothing(evaluator: AceEvaluator, value: float) -> None:
    atoms = alloy()
    atoms.positions[3, 1] = value
    found = computed(evaluator, atoms)
    assert np.isnan(found.energy)
    assert np.isnan(found.forces).all()
    assert_fresh(evaluator, alloy())


def test_what_the_calculator_points_to_is_kept() -> None:
    evaluators = [AceEvaluator(YAML, ELEMENTS, ASI) for _ in range(3)]
    gc.collect()
    energies = {computed(one, alloy(), with_grade=True).energy for one in evaluators}
    assert len(energies) == 1


class TestRefusals:
    def test_an_element_that_is_not_in_the_potential(self) -> None:
        with pytest.raises(InputError, match=r"linear40.yaml: knows the elements \['Al', 'Mg'\], not \['Cu'\]"):
            AceEvaluator(YAML, ('Al', 'Cu'))

    @pytest.mark.parametrize('name', ['none.yaml', 'none.yace', 'cut.yaml', 'cut.yace', 'text.yaml', 'empty.yaml'])
    def test_files_that_are_no_potential(self, tmp_path: Any, name: str) -> None:
        whole = (FOLDER / f'linear40.{name[-4:]}').read_text(encoding='utf-8')
        for given, text in {'cut.yaml': whole[:3000], 'cut.yace': whole[:3000], 'text.yaml': 'hello', 'empty.yaml': ''}.items():
            (tmp_path / given).write_text(text, encoding='utf-8')
        with pytest.raises(EngineError, match=f'pyace refuses {name}: '):
            AceEvaluator(tmp_path / name, ELEMENTS)

    @pytest.mark.parametrize('size', [0, 39, 41])
    def test_active_sets_of_other_potentials(self, tmp_path: Any, size: int) -> None:
        path = tmp_path / 'other.asi'
        if size:
            with path.open('wb') as handle:
                np.savez(handle, Al=np.eye(size), Mg=np.eye(size))
        with pytest.raises(EngineError, match=r'pyace refuses linear40.yaml other.asi: '):
            AceEvaluator(YAML, ELEMENTS, path)

    def test_the_fast_form_with_an_active_set(self) -> None:
        with pytest.raises(InputError, match='the fast form gives no grade'):
            AceEvaluator(YACE, ELEMENTS, ASI)

    def test_without_pyace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing() -> None:
            raise InstallationError('there is none')

        monkeypatch.setattr(module, 'pyace_module', missing)
        with pytest.raises(InstallationError, match='there is none'):
            AceEvaluator(YAML, ELEMENTS)
