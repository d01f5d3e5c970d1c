"""ACE in a LAMMPS without ML-PACE; that it equals LAMMPS's own pair style is shown where an ML-PACE is found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pyace import PyACECalculator

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.engines.ace import external
from aiida_mlip_autopipe.engines.ace.evaluator import AceEvaluator
from aiida_mlip_autopipe.engines.ace.external import CallbackForces, evaluator_of
from aiida_mlip_autopipe.engines.lammps.library import LammpsSystem, Prediction
from tests.ace_data import ASI, ELEMENTS, POTENTIAL, YAML, alloy, crystal

pytestmark = pytest.mark.lammps

ENERGY, FORCE, GRADE = 1e-9, 1e-9, 1e-8
"""eV, eV/Å and dimensionless, between pyace alone and pyace in LAMMPS, whose frame is turned."""

STRESS = 1e-7
"""eV/Å³, about 0.2 bar of 10⁵: constants of units of pyace and LAMMPS."""

NVE = ('velocity all create 600.0 7 mom yes rot no dist gaussian', 'fix ensemble all nve', 'timestep 0.002')


def predicted(atoms: Atoms, *, every: int = 1) -> tuple[Prediction, np.ndarray]:
    with LammpsSystem(ELEMENTS, package=None) as system:
        forces = CallbackForces(system, AceEvaluator(YAML, ELEMENTS, ASI), every)
        forces.attach(system.load(atoms, []))
        return system.predict(), forces.grade()


@pytest.mark.parametrize('size', [(1, 1, 1), (1, 2, 1), (2, 2, 2), (3, 2, 1), (4, 4, 4)])
def test_it_equals_the_calculator_of_pyace(size: tuple[int, int, int]) -> None:
    """Energy, forces, stress and grade in triclinic cells, the order of the elements another than that of the file."""
    atoms = alloy(size, seed=sum(size))
    calculator = PyACECalculator(str(YAML))
    calculator.set_active_set(str(ASI))
    atoms.calc = calculator
    energy, own_forces, own_stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    found, grade = predicted(atoms)
    assert found.energy == pytest.approx(energy, abs=ENERGY)
    np.testing.assert_allclose(found.forces, own_forces, atol=FORCE)
    np.testing.assert_allclose(found.stress, own_stress, atol=STRESS)
    np.testing.assert_allclose(grade, calculator.results['gamma'], atol=GRADE)


def test_an_atom_alone() -> None:
    found, grade = predicted(Atoms('Al', cell=[20] * 3, pbc=True))
    assert found.energy == 0.0
    np.testing.assert_array_equal(found.forces, np.zeros((1, 3)))
    np.testing.assert_allclose(found.stress, np.zeros(6), atol=1e-12)
    assert np.isfinite(grade).all()


def test_the_next_structure_leaves_the_one_before() -> None:
    structures = [alloy(seed=1), alloy((2, 2, 1), seed=2), alloy(seed=1)]
    with LammpsSystem(ELEMENTS, package=None) as system:
        forces = CallbackForces(system, AceEvaluator(YAML, ELEMENTS, ASI), 1)
        found = []
        for atoms in structures:
            forces.attach(system.load(atoms, []))
            found.append((system.predict().energy, forces.grade()))
    assert found[0][0] == found[2][0]
    np.testing.assert_array_equal(found[0][1], found[2][1])
    for atoms, (energy, grade) in zip(structures, found, strict=True):
        alone, own_grade = predicted(atoms)
        assert energy == pytest.approx(alone.energy, abs=ENERGY)
        np.testing.assert_allclose(grade, own_grade, atol=GRADE)


def test_ten_picoseconds_keep_their_energy() -> None:
    """NVE at 600 K, with a list that is built anew on the way and atoms that cross the boundaries."""
    atoms = crystal()
    energies, builds = [], []
    with LammpsSystem(ELEMENTS, package=None) as system:
        evaluator = AceEvaluator(YAML, ELEMENTS)
        CallbackForces(system, evaluator, 0).attach(system.load(atoms, []))
        for line in (*NVE, 'thermo 50', 'run 0 post no'):
            system.command(line)
        for _ in range(100):
            system.command('run 50 pre no post no')
            energies.append(system.lammps.get_thermo('etotal'))
            builds.append(id(evaluator._neighbours.listed))
    per_atom = 1000 * np.array(energies) / len(atoms)
    slope = np.polynomial.Polynomial.fit(np.arange(100) / 10, per_atom, 1).convert().coef[1]
    assert abs(slope) < 0.02, 'meV/atom per ps'
    assert per_atom.std() < 0.1, 'meV/atom'
    assert len(set(builds)) > 2


def test_the_grade_between_two_that_were_announced_is_fresh() -> None:
    atoms = alloy()
    with LammpsSystem(ELEMENTS, package=None) as system:
        forces = CallbackForces(system, AceEvaluator(YAML, ELEMENTS, ASI), 10)
        forces.attach(system.load(atoms, []))
        for line in (*NVE, 'run 13 post no'):
            system.command(line)
        grade, moved = forces.grade(), system.snapshot(atoms)
    np.testing.assert_allclose(grade, predicted(moved)[1], rtol=1e-6)


@pytest.mark.parametrize('kind', [ValueError, MemoryError])
def test_an_exception_inside_ends_the_run_and_is_told(monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    calls = []
    compute = AceEvaluator.compute

    def failing(self: AceEvaluator, *arguments: object, **options: bool) -> object:
        calls.append(1)
        if len(calls) == 5:
            raise kind('no more')
        return compute(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(AceEvaluator, 'compute', failing)
    with LammpsSystem(ELEMENTS, package=None) as system:
        CallbackForces(system, AceEvaluator(YAML, ELEMENTS), 0).attach(system.load(alloy(), []))
        for line in NVE:
            system.command(line)
        with pytest.raises(EngineError, match='a step could not be done: no more'):
            system.command('run 50 post no')
    assert len(calls) == 5


def test_several_ranks_are_refused() -> None:
    system = SimpleNamespace(lammps=SimpleNamespace(extract_setting={'world_size': 4}.__getitem__))
    with pytest.raises(EngineError, match='one MPI rank, got 4'):
        CallbackForces(system, AceEvaluator(YAML, ELEMENTS), 0)  # type: ignore[arg-type]


class TestLines:
    def test_the_files_are_those_of_the_pair_lines(self, tmp_path: Path) -> None:
        place = tmp_path / 'with blanks'
        place.mkdir()
        (place / 'a.yaml').write_bytes(YAML.read_bytes())
        assert evaluator_of(['pair_style pace', f'pair_coeff * * "{place / "a.yaml"}" Al Mg'], ('Al', 'Mg')).cutoff == 5.0

    def test_with_the_active_set(self) -> None:
        atoms = bulk('Al', a=4.0)
        evaluator = evaluator_of(POTENTIAL.grade_lines, ELEMENTS)
        evaluator.compute(atoms.cell.array, atoms.positions, np.array([1]))
        assert evaluator.grade().shape == (1,)

    @pytest.mark.parametrize(
        'line', ['pair_coeff 1 1 a.yaml Mg Al', 'pair_coeff * * Mg Al', 'pair_coeff * * a b c Mg Al', 'pair_coeff * * a Al Mg']
    )
    def test_others_are_refused(self, line: str) -> None:
        with pytest.raises(InputError, match=r'expected pair_coeff \* \*, one or two files, and the elements Mg Al'):
            evaluator_of(['pair_style pace', line], ELEMENTS)


def test_the_shortest_bond_is_seen_beyond_the_cutoff() -> None:
    """LAMMPS keeps images as far as the potential reaches, though no pair style asks for them."""
    with LammpsSystem(ELEMENTS, package=None) as system:
        CallbackForces(system, AceEvaluator(YAML, ELEMENTS), 0).attach(system.load(bulk('Al', a=4.0), []))
        system.command('run 0 post no')
        n_images = system.lammps.extract_setting('nghost')
    n_near = 4 / 3 * np.pi * (5.0 + external.GHOSTS) ** 3 / 16.0
    assert n_images > n_near
