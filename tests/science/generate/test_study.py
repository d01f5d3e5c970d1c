"""The structures of a convergence study: which bases, which distortions, and their seeds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import Step, System
from aiida_mlip_autopipe.science.generate.study import SERIES_STRAINS, STRAIN_SERIES, study_structures
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies

SYSTEM = System(
    elements=('Al', 'Mg'),
    prototype='fcc',
    alloys=(({'Al': 1.0},), ({'Al': 0.75, 'Mg': 0.25},), ({'Al': 0.5, 'Mg': 0.5},), ({'Mg': 1.0},)),
    lattice_parameters={'Al': 4.05, 'Mg': 4.5},
    supercells=((2, 2, 2), (2, 1, 2)),
)
SQS_STEP = Step('sqs', SQS(per_composition=3, steps=20, cutoffs=(4.0,)))
BUILDER = StructureBuilder(
    SYSTEM,
    (
        SQS_STEP,
        Step('strain', Strain(count=5, max_strain=0.05, hydrostatic=(0.02,))),
        Step('rattle', Rattle(count=4, stdev=0.07)),
        Step('vacancy', Vacancies(count=2)),
    ),
)


def study(builder: StructureBuilder = BUILDER, *, count: int = 8, seed: int = 0) -> list[Atoms]:
    return study_structures(builder, count, np.random.default_rng(seed), with_series=False)


def formulas(structures: list[Atoms]) -> list[str]:
    return [atoms.get_chemical_formula() for atoms in structures]


def test_one_base_for_each_composition_in_the_smallest_supercell_and_two_distorted_ones() -> None:
    found = study()
    assert formulas(found) == ['Al4', 'Al3Mg', 'Al2Mg2', 'Mg4', 'Al2Mg2', 'Al2Mg2']
    assert [atoms.info['config_type'] for atoms in found] == ['sqs'] * 4 + ['strain', 'rattle']


def test_the_distorted_ones_descend_from_the_most_mixed_base() -> None:
    *_, base, _, strained, rattled = study()
    for child in (strained, rattled):
        assert child.info['parent'] == child.info['lineage'] == base.info['uid']
    deformation = np.linalg.solve(base.cell.array, strained.cell.array) - np.eye(3)
    assert 0 < np.abs(deformation).max() <= 0.05 + 1e-12
    displacements = rattled.positions - base.positions
    assert 0 < np.abs(displacements).max() < 6 * 0.07
    np.testing.assert_allclose(rattled.cell.array, base.cell.array)


def test_the_series_strains_the_first_base_at_constant_volume() -> None:
    found = study_structures(BUILDER, 8, np.random.default_rng(0))
    base, series = found[0], found[6:]
    assert [atoms.info['uid'] for atoms in found[:6]] == [atoms.info['uid'] for atoms in study()]
    assert [atoms.info['config_type'] for atoms in series] == [STRAIN_SERIES] * 4
    for atoms, size in zip(series, SERIES_STRAINS, strict=True):
        assert atoms.info['parent'] == base.info['uid']
        assert atoms.get_volume() == pytest.approx(base.get_volume())
        assert np.linalg.solve(base.cell.array, atoms.cell.array)[0, 0] == pytest.approx(1 + size)


def test_the_seed_decides_the_distortions() -> None:
    one, same, other = study(seed=1), study(seed=1), study(seed=2)
    assert [a.info['uid'] for a in one] == [a.info['uid'] for a in same]
    assert one[-1].info['uid'] != other[-1].info['uid']
    assert one[-2].info['uid'] != other[-2].info['uid']


def test_the_cap_keeps_both_ends_of_the_compositions() -> None:
    assert formulas(study(count=4)) == ['Al4', 'Mg4', 'Al4', 'Al4']
    assert formulas(study(count=5))[:3] == ['Al4', 'Al2Mg2', 'Mg4']


def test_a_single_atom_is_doubled_before_it_is_rattled() -> None:
    system = dataclasses.replace(SYSTEM, alloys=(({'Al': 1.0},),), supercells=((1, 1, 1),))
    found = study(dataclasses.replace(BUILDER, system=system))
    assert [len(atoms) for atoms in found] == [1, 1, 2]
    assert len({atoms.info['uid'] for atoms in found}) == 3


def test_without_distortions_in_the_generator_there_are_two_all_the_same() -> None:
    system = dataclasses.replace(SYSTEM, alloys=(({'Al': 0.5, 'Mg': 0.5},),))
    base, strained, rattled = study(StructureBuilder(system, (SQS_STEP, Step('rattle', Rattle(count=0)))))
    assert np.abs(strained.cell.array - base.cell.array).max() > 0
    assert np.abs(rattled.positions - base.positions).max() > 0


def test_no_room_for_a_base() -> None:
    with pytest.raises(InputError, match='more than 2 structures, got 2'):
        study(count=2)


def test_no_base_at_all() -> None:
    with pytest.raises(InputError, match='needs a base structure'):
        study(dataclasses.replace(BUILDER, steps=BUILDER.steps[1:]))
