"""What holds for every strategy, whatever the material, the parent and the seed."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import icet
import numpy as np
import pytest
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from icet.tools.structure_generation import generate_sqs_from_supercells

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES
from aiida_mlip_autopipe.science.generate.amorphous import Amorphous
from aiida_mlip_autopipe.science.generate.antisite import Antisites
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.cells import Cells
from aiida_mlip_autopipe.science.generate.deform import Deform
from aiida_mlip_autopipe.science.generate.dimer import Dimers
from aiida_mlip_autopipe.science.generate.divacancy import Divacancies
from aiida_mlip_autopipe.science.generate.elastic import Elastic
from aiida_mlip_autopipe.science.generate.eos import EquationOfState
from aiida_mlip_autopipe.science.generate.frenkel import FrenkelPairs
from aiida_mlip_autopipe.science.generate.ideal_lattices import slot_of
from aiida_mlip_autopipe.science.generate.interstitial import Interstitials
from aiida_mlip_autopipe.science.generate.isolated import IsolatedAtoms
from aiida_mlip_autopipe.science.generate.ordered import Ordered
from aiida_mlip_autopipe.science.generate.phonon import Phonons
from aiida_mlip_autopipe.science.generate.rattle import Rattle, debye_stdev, einstein_stdev
from aiida_mlip_autopipe.science.generate.settings import strategies
from aiida_mlip_autopipe.science.generate.sqs import SQS, cluster_vector_distance, shuffled, slot_counts, usable_cutoffs
from aiida_mlip_autopipe.science.generate.stacking_fault import StackingFaults
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import Kind, Slot, Step, System
from aiida_mlip_autopipe.science.generate.surface import Surfaces
from aiida_mlip_autopipe.science.generate.swap import Swaps
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies

ELEMENTS = ('Al', 'Mg', 'Cu', 'Ti')
CELL = {'symbols': ('Al',), 'cell': ((3, 0, 0), (0, 3, 0), (0, 0, 3)), 'scaled_positions': ((0, 0, 0),)}

EVERY: dict[str, tuple[Callable[[], Any], bool]] = {
    'sqs': (lambda: SQS(per_composition=2, steps=60, cutoffs=(4.0,), random=1), True),
    'ordered': (lambda: Ordered(supercell=(1, 1, 1)), False),
    'cells': (lambda: Cells(cells=(CELL,)), False),
    'strain': (lambda: Strain(count=2, max_strain=0.05, hydrostatic=(0.02,)), True),
    'deform': (
        lambda: Deform(uniaxial=(0.02,), biaxial=(0.02,), shear=(0.02,), grid={'xx': (0.0, 0.01), 'xy': (0.01,)}, general=3),
        True,
    ),
    'eos': (lambda: EquationOfState(count=3), False),
    'elastic': (lambda: Elastic(sizes=(0.01,)), False),
    'phonon': (lambda: Phonons(distance=0.02), False),
    'rattle': (lambda: Rattle(count=2, stdev=0.05, min_distance=1.5), True),
    'vacancy': (lambda: Vacancies(count=2, n_vacancies=2), True),
    'divacancy': (lambda: Divacancies(count=2), True),
    'interstitial': (lambda: Interstitials(count=2, per_cell=2), True),
    'antisite': (lambda: Antisites(count=2, per_cell=2), True),
    'swap': (lambda: Swaps(count=2, per_cell=2), True),
    'frenkel': (lambda: FrenkelPairs(count=2, min_distance=0.8), True),
    'surface': (lambda: Surfaces(millers=((1, 1, 0), (2, 1, 1)), layers=2, repeat=(2, 1), adatoms=1, steps=1), True),
    'stacking_fault': (lambda: StackingFaults(count=2), True),
    'dimer': (lambda: Dimers(count=3), False),
    'isolated_atom': (IsolatedAtoms, False),
    'amorphous': (lambda: Amorphous(count=2, n_atoms=16), True),
}
"""A strategy of each section, and whether it draws anything at random for an alloy."""

SIZES = {'fcc': 1.0, 'hcp': 0.71, 'bcc': 0.8, 'sc': 0.65, 'diamond': 1.3}
"""Lattice parameters in units of that of fcc with about the same volume per atom."""

FEW = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**31 - 1)


@st.composite
def systems(draw: Any, prototypes: tuple[str, ...] = ('fcc', 'hcp'), most: int = 3) -> System:
    """Return an alloy of two elements or more on a supercell of 12 sites, each element at least three times."""
    prototype = draw(st.sampled_from(prototypes))
    elements = tuple(draw(st.permutations(ELEMENTS))[: draw(st.integers(2, most))])
    supercell = (3, 2, 2 // len(PROTOTYPES[prototype].sites))
    more = draw(st.lists(st.sampled_from(elements), min_size=12 - 3 * len(elements), max_size=12 - 3 * len(elements)))
    counts = Counter([*elements * 3, *more])
    fractions = {element: counts[element] / 12 for element in elements}
    sizes = {element: draw(st.floats(3.9, 4.4)) * SIZES[prototype] for element in elements}
    return System(elements, prototype, ((fractions,),), sizes, (supercell,))


def slot(system: System) -> Slot:
    return slot_of(system, system.alloys[0], system.supercells[0])


def shuffled_alloy(system: System, seed: int) -> Atoms:
    place = slot(system)
    atoms = place.lattice.copy()
    atoms.numbers = shuffled(place, slot_counts(place), np.random.default_rng(seed))
    return atoms


def made(strategy: Any, system: System, parent: Atoms, seed: int) -> list[Atoms]:
    """Return what a strategy makes of what its kind is given."""
    subject = {Kind.LATTICE: slot(system), Kind.FREE: system}.get(strategy.KIND, parent)
    return list(strategy(subject, np.random.default_rng(seed)))


def columns(structures: list[Atoms]) -> list[tuple[Any, ...]]:
    return [(a.numbers.tolist(), a.positions.tolist(), a.cell.tolist(), a.pbc.tolist(), a.info) for a in structures]


def known_system(system: System, name: str) -> System:
    """Return the system with the elements that the strategy needs."""
    return system if name != 'cells' else System(('Al',), 'fcc', (({'Al': 1.0},),), {}, ((1, 1, 1),))


def test_every_section_is_here() -> None:
    assert set(EVERY) == set(strategies()) - {'files', 'structures'}  # they read files, and are tested with them


@pytest.mark.parametrize('name', EVERY)
class TestEveryStrategy:
    @given(system=systems(), seed=seeds)
    @FEW
    def test_the_seed_decides(self, name: str, system: System, seed: int) -> None:
        factory, is_random = EVERY[name]
        parent = shuffled_alloy(system, 0)
        one, same, other = (made(factory(), known_system(system, name), parent, s) for s in (seed, seed, seed + 1))
        assert one
        assert columns(one) == columns(same)
        if is_random:
            others = [made(factory(), known_system(system, name), parent, seed + step) for step in range(2, 8)]
            assert any(
                columns(one) != columns(found) for found in (other, *others)
            )  # two seeds may shuffle few atoms alike, not eight
        else:
            assert columns(one) == columns(other)

    @given(system=systems(), seed=seeds)
    @FEW
    def test_nothing_is_shared_and_the_parent_stays(self, name: str, system: System, seed: int) -> None:
        factory, _ = EVERY[name]
        parent = shuffled_alloy(system, 0)
        before = parent.copy()
        structures = made(factory(), known_system(system, name), parent, seed)
        arrays = [[a.numbers, a.positions, a.cell.array, a.pbc] for a in [parent, *structures]]
        for one, other in itertools.combinations(arrays, 2):
            assert not any(np.shares_memory(first, second) for first, second in zip(one, other, strict=True))
        kept = columns(structures[1:])
        structures[0].positions += 1.0
        structures[0].numbers[:] = 1
        structures[0].cell[:] = 0.0
        structures[0].info.clear()
        assert columns(structures[1:]) == kept
        assert parent == before
        assert parent.info == {}

    @given(system=systems(), seed=seeds)
    @FEW
    def test_every_structure_says_what_it_is(self, name: str, system: System, seed: int) -> None:
        factory, _ = EVERY[name]
        for atoms in made(factory(), known_system(system, name), shuffled_alloy(system, 0), seed):
            assert atoms.info['config_type']
            assert json.loads(atoms.info['origin'])['strategy']
            assert atoms.pbc.all()
            assert np.isfinite(atoms.positions).all()


@given(system=systems(('fcc', 'bcc', 'hcp', 'diamond', 'sc')), seed=seeds)
@FEW
def test_the_composition_of_an_alloy_is_exact(system: System, seed: int) -> None:
    counts = {element: round(12 * x) for element, x in system.alloys[0][0].items()}
    supercell = {1: (3, 2, 2), 2: (3, 2, 1)}[len(PROTOTYPES[system.prototype].sites)]
    system = System(system.elements, system.prototype, system.alloys, system.lattice_parameters, (supercell,))
    for atoms in SQS(per_composition=2, steps=50, cutoffs=(4.5,), random=2)(slot(system), np.random.default_rng(seed)):
        assert atoms.symbols.formula.count() == counts
    for atoms in Amorphous(count=1, n_atoms=24, densities=(0.7, 0.8), min_distance=0.6)(system, np.random.default_rng(seed)):
        assert atoms.symbols.formula.count() == {element: 2 * count for element, count in counts.items()}
    parent = shuffled_alloy(system, seed)
    for atoms in Swaps(count=3, per_cell=2)(parent, np.random.default_rng(seed)):
        assert atoms.symbols.formula.count() == counts
    for atoms in FrenkelPairs(count=1, min_distance=0.5)(parent, np.random.default_rng(seed)):
        assert atoms.symbols.formula.count() == counts


@given(system=systems(), seed=seeds, most=st.floats(0.001, 0.3), sizes=st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=2))
@FEW
def test_strains_are_recovered_from_the_cell(system: System, seed: int, most: float, sizes: list[float]) -> None:
    parent = shuffled_alloy(system, seed)
    scaled = parent.get_scaled_positions(wrap=False)
    steps = [
        Strain(count=2, max_strain=most),
        Deform(
            uniaxial=tuple(sizes), biaxial=tuple(sizes), shear=tuple(sizes), grid={'yy': tuple(sizes)}, general=2, max_strain=most
        ),
        Elastic(sizes=(0.1 * most,)),
    ]
    for strategy in (*steps, EquationOfState(count=3, volumes=(0.8, 1.25))):
        for atoms in strategy(parent, np.random.default_rng(seed)):
            epsilon = np.linalg.solve(parent.cell.array, atoms.cell.array) - np.eye(3)
            told = json.loads(atoms.info['origin'])['components']
            np.testing.assert_allclose(epsilon, epsilon.T, atol=1e-9)
            found = epsilon[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
            np.testing.assert_allclose(found, [told[name] for name in ('xx', 'yy', 'zz', 'yz', 'xz', 'xy')], atol=1e-8)
            np.testing.assert_allclose(atoms.get_scaled_positions(wrap=False), scaled, atol=1e-9)
            assert np.linalg.det(atoms.cell.array) * np.linalg.det(parent.cell.array) > 0


@given(seed=seeds, widths=st.tuples(*[st.floats(0.01, 0.2)] * 2), temperature=st.floats(0, 2000), theta=st.floats(150, 500))
@FEW
def test_the_width_of_a_rattle_is_right_for_each_element(
    seed: int, widths: tuple[float, float], temperature: float, theta: float
) -> None:
    system = System(('Al', 'Cu'), 'fcc', (({'Al': 0.5, 'Cu': 0.5},),), {'Al': 4.05, 'Cu': 3.6}, ((10, 10, 10),))
    parent = shuffled_alloy(system, seed)
    masses = {'Al': 26.9815, 'Cu': 63.546}
    cases = [
        (
            Rattle(count=1, stdev=0.1, stdev_by_element={'Al': widths[0], 'Cu': widths[1]}),
            dict(zip(('Al', 'Cu'), widths, strict=True)),
        ),
        (
            Rattle(count=1, stdev=0.1, temperature=temperature, debye_temperature=theta),
            {element: debye_stdev(mass, temperature, theta) for element, mass in masses.items()},
        ),
        (
            Rattle(count=1, stdev=0.1, temperature=temperature, einstein_temperature=theta),
            {element: einstein_stdev(mass, temperature, theta) for element, mass in masses.items()},
        ),
    ]
    for strategy, expected in cases:
        (atoms,) = strategy(parent, np.random.default_rng(seed))
        moved = atoms.positions - parent.positions
        for element, width in expected.items():
            chosen = moved[atoms.symbols == element]
            # 1500 normal numbers: the spread of their deviation is 1/√3000 of it, and 6 times that is never met by chance
            assert chosen.std() == pytest.approx(width, rel=6 / np.sqrt(3000))


@given(system=systems(), seed=seeds, stdev=st.floats(0.02, 0.3), fraction=st.floats(0.5, 0.85))
@FEW
def test_no_pair_below_the_limit(system: System, seed: int, stdev: float, fraction: float) -> None:
    parent = shuffled_alloy(system, seed)
    limit = fraction * float(neighbor_list('d', parent, 5.0).min())
    for atoms in Rattle(count=2, stdev=stdev, min_distance=limit)(parent, np.random.default_rng(seed)):
        assert neighbor_list('d', atoms, 5.0).min() >= limit - 1e-9
    for atoms in Amorphous(count=1, n_atoms=16, densities=(0.7, 0.8), min_distance=0.7)(system, np.random.default_rng(seed)):
        first, second, distances = neighbor_list('ijd', atoms, 5.0)
        radii = covalent_radii[atoms.numbers]
        assert (distances >= 0.7 * (radii[first] + radii[second]) - 1e-9).all()


@given(system=systems(most=2), seed=seeds)
@settings(max_examples=2, deadline=None)
def test_a_build_of_everything(system: System, seed: int) -> None:
    steps = tuple(
        Step(name, factory().model_copy(update={'of': ('sqs',)} if 'of' in type(factory()).model_fields else {}))
        for name, (factory, _) in EVERY.items()
        if name not in ('cells', 'dimer', 'isolated_atom')
    )
    builder = StructureBuilder(system, steps)
    one, same, other = (Frames.from_atoms(builder.build(np.random.default_rng(s))) for s in (seed, seed, seed + 1))
    assert one.uid.tolist() == same.uid.tolist()
    assert one.uid.tolist() != other.uid.tolist()
    assert np.array_equal(one.positions, same.positions)
    assert one.origin.tolist() == same.origin.tolist()
    assert len(set(one.uid.tolist())) == len(one)
    for atoms in one:
        first, second, distances = neighbor_list('ijd', atoms, 3.5)
        radii = covalent_radii[atoms.numbers]
        assert (distances >= builder.limits.sanity.min_bond_fraction * (radii[first] + radii[second]) - 1e-9).all()


@given(
    counts=st.lists(st.integers(1, 7), min_size=1, max_size=2).map(lambda found: [*found, 16 - sum(found)]),
    seed=st.integers(0, 1000),
    prototype=st.sampled_from(['fcc', 'bcc']),
)
@settings(max_examples=6, deadline=None)
def test_quasirandom_alloys_are_as_good_as_those_of_icet(counts: list[int], seed: int, prototype: str) -> None:
    fractions = {element: count / 16 for element, count in zip(ELEMENTS, counts, strict=False)}
    system = System(tuple(fractions), prototype, ((fractions,),), dict.fromkeys(fractions, 4.0), ((4, 2, 2),))
    place = slot(system)
    (ours,) = SQS(per_composition=1, steps=300, cutoffs=(6.0, 4.5))(place, np.random.default_rng(seed))
    told = json.loads(ours.info['origin'])
    cutoffs = usable_cutoffs(place.lattice, (6.0, 4.5))
    space = icet.ClusterSpace(place.lattice, cutoffs, sorted(fractions))
    theirs = generate_sqs_from_supercells(space, [place.lattice.copy()], fractions, n_steps=300, random_seed=told['seed'])
    targets = {'A': fractions}
    assert cluster_vector_distance(space, ours, targets) <= cluster_vector_distance(space, theirs, targets) + 1e-9
    assert told['distance'] == pytest.approx(cluster_vector_distance(space, ours, targets), abs=1e-5)
