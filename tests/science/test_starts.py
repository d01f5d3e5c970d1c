"""Start structures: lineages take turns, labels stay behind, supercells know where they come from."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.science.starts import start_structures

ONE = (1, 1, 1)
LINEAGES = ['a', 'a', 'a', 'b', 'b', 'c']


def frames(lineages: list[str] = LINEAGES) -> Frames:
    structures = []
    for index, lineage in enumerate(lineages):
        atoms = Atoms('CuAu', positions=[[0, 0, 0], [2, 2, 2 + index / 10]], cell=[4, 4, 4], pbc=True)
        atoms.info = {
            'lineage': lineage,
            'parent': f'p{index}',
            'config_type': 'rattle',
            'fingerprint': '00ff',
            'label_uuid': '5f',
        }
        atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.zeros((2, 3)), stress=np.zeros(6))
        structures.append(atoms)
    return Frames.from_atoms(structures)


def starts(count: int, seed: int = 0, supercell: tuple[int, int, int] = ONE) -> Frames:
    return start_structures(frames(), count=count, supercell=supercell, rng=np.random.default_rng(seed))


@pytest.mark.parametrize('seed', range(5))
def test_every_lineage_gives_one_before_one_gives_a_second(seed: int) -> None:
    lineages = starts(6, seed).lineage.tolist()
    assert sorted(lineages[:3]) == ['a', 'b', 'c']
    assert sorted(lineages[3:5]) == ['a', 'b']
    assert lineages[5] == 'a'


def test_first_frame_of_a_lineage_comes_first() -> None:
    uids = frames().uid
    assert set(starts(3).uid) == {uids[0], uids[3], uids[5]}


@pytest.mark.parametrize(('count', 'expected'), [(0, 0), (2, 2), (6, 6), (50, 6)])
def test_count(count: int, expected: int) -> None:
    found = starts(count)
    assert len(found) == expected
    assert len(set(found.uid.tolist())) == expected


def test_seed_decides_the_order_and_nothing_else() -> None:
    assert starts(6, 3).uid.tolist() == starts(6, 3).uid.tolist()
    orders = {tuple(starts(3, seed).lineage) for seed in range(20)}
    assert len(orders) > 1
    assert {frozenset(starts(6, seed).uid.tolist()) for seed in range(5)} == {frozenset(frames().uid.tolist())}


def test_labels_stay_behind_and_the_rest_is_kept() -> None:
    found = starts(6)
    assert not found.labelled.any()
    assert set(found.fingerprint) | set(found.label_uuid) == {''}
    assert set(found.config_type) == {'rattle'}
    assert sorted(found.parent) == [f'p{i}' for i in range(6)]
    assert frames().labelled.all()


def test_supercell_has_a_uid_of_its_own_and_its_cell_as_parent() -> None:
    found, small = starts(6, supercell=(2, 1, 1)), starts(6)
    assert found.counts.tolist() == [4] * 6
    assert found.parent.tolist() == small.uid.tolist()
    assert found.lineage.tolist() == small.lineage.tolist()
    assert [uid_of(atoms) for atoms in found] == found.uid.tolist()
    np.testing.assert_allclose(found.cells[0], np.diag([8.0, 4.0, 4.0]))


def test_no_frames() -> None:
    nothing = frames().take([])
    assert len(start_structures(nothing, count=3, supercell=ONE, rng=np.random.default_rng(0))) == 0


def test_the_root_of_a_lineage_comes_first_also_where_it_was_not_labelled() -> None:
    root = Atoms('CuAu', positions=[[0, 0, 0], [2, 2, 1.9]], cell=[4, 4, 4], pbc=True)
    root.info['config_type'] = 'sqs'
    bases = Frames.from_atoms([root])
    children = frames([str(bases.uid[0])] * 2 + ['b'])
    found = start_structures(children, bases=bases, count=2, supercell=ONE, rng=np.random.default_rng(0))
    assert set(found.uid.tolist()) == {str(bases.uid[0]), str(children.uid[2])}
    assert len(start_structures(children, bases=bases, count=9, supercell=ONE, rng=np.random.default_rng(0))) == 4


def test_bases_of_lineages_that_are_not_trained_on_are_no_starts() -> None:
    other = frames(['x']).take([0])
    root = other.replace(lineage=other.uid)
    found = start_structures(frames(), bases=root, count=50, supercell=ONE, rng=np.random.default_rng(0))
    assert set(found.lineage.tolist()) == {'a', 'b', 'c'}
