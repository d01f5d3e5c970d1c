"""`Frames`: round trips, refusals, and what the hash of a structure does and does not see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InvalidFramesError
from aiida_mlip_autopipe.common.frames import UID_LENGTH, Frames, uid_of


def rattled(seed: int = 0, *, label: bool = True, stress: bool = True, **info: Any) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk('Al', cubic=True) * (1, 1, 1 + seed % 2)
    atoms.numbers[0] = 12
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    atoms.info.update(info)
    if label:
        results = {'energy': rng.normal(), 'forces': rng.normal(size=atoms.positions.shape)}
        atoms.calc = SinglePointCalculator(atoms, **results, **({'stress': rng.normal(size=6)} if stress else {}))
    return atoms


def described(seed: int = 0) -> Atoms:
    return rattled(
        seed,
        lineage='root',
        parent='mother',
        config_type='rattle',
        round=3,
        origin='{"strategy": "rattle", "sigma": 0.1}',
        fingerprint='pbe',
        label_uuid='5f3c',
    )


def mixed() -> Frames:
    return Frames.from_atoms([described(0), rattled(1, label=False), rattled(2, stress=False), rattled(3)])


def assert_same(found: Frames, expected: Frames) -> None:
    columns = expected.to_arrays()
    assert set(found.to_arrays()) == set(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(found.to_arrays()[name], values, err_msg=name)


class TestAtoms:
    def test_structure_round_trip(self) -> None:
        atoms = described()
        (found,) = Frames.from_atoms([atoms])
        np.testing.assert_array_equal(found.numbers, atoms.numbers)
        np.testing.assert_array_equal(found.positions, atoms.positions)
        np.testing.assert_array_equal(found.cell.array, atoms.cell.array)
        np.testing.assert_array_equal(found.pbc, atoms.pbc)

    def test_metadata_round_trip(self) -> None:
        atoms = described()
        (found,) = Frames.from_atoms([atoms])
        assert found.info == {**atoms.info, 'uid': uid_of(atoms)}

    def test_labels_round_trip(self) -> None:
        atoms = described()
        (found,) = Frames.from_atoms([atoms])
        assert found.get_potential_energy() == atoms.get_potential_energy()
        np.testing.assert_array_equal(found.get_forces(), atoms.get_forces())
        np.testing.assert_array_equal(found.get_stress(), atoms.get_stress())

    def test_missing_uid_and_lineage_are_own_hash(self) -> None:
        atoms = rattled()
        frames = Frames.from_atoms([atoms])
        assert frames.uid[0] == frames.lineage[0] == uid_of(atoms)
        assert frames.parent[0] == ''
        assert frames.round[0] == 0

    def test_carried_uid_is_kept(self) -> None:
        frames = Frames.from_atoms([rattled(uid='abc')])
        assert (frames.uid[0], frames.lineage[0]) == ('abc', 'abc')

    def test_unlabelled_frame_hands_out_no_calculator(self) -> None:
        frames = mixed()
        assert frames.labelled.tolist() == [True, False, True, True]
        assert frames.atoms(1).calc is None
        assert frames.atoms(0).calc is not None

    def test_missing_stress_is_not_handed_out(self) -> None:
        frames = mixed()
        assert frames.has_stress.tolist() == [True, False, False, True]
        assert 'stress' not in frames.atoms(2).calc.results

    def test_energy_without_forces_is_no_label(self) -> None:
        atoms = rattled(label=False)
        atoms.calc = SinglePointCalculator(atoms, energy=1.0)
        assert not Frames.from_atoms([atoms]).labelled.any()

    def test_stress_matrix_becomes_voigt(self) -> None:
        atoms = rattled(stress=False)
        atoms.calc.results['stress'] = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
        assert Frames.from_atoms([atoms]).stress[0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]

    def test_atoms_do_not_share_memory(self) -> None:
        frames = mixed()
        frames.atoms(0).positions += 1.0
        frames.atoms(0).calc.results['forces'][:] = 0.0
        assert_same(frames, mixed())

    def test_index_from_the_end_and_out_of_range(self) -> None:
        frames = mixed()
        np.testing.assert_array_equal(frames.atoms(-1).positions, frames.atoms(3).positions)
        with pytest.raises(IndexError, match='frame 4 of 4'):
            frames.atoms(4)

    def test_molecule_without_cell(self) -> None:
        (found,) = Frames.from_atoms([Atoms('H2', positions=[[0, 0, 0], [0, 0, 0.74]])])
        assert not found.pbc.any()
        assert not found.cell.array.any()

    def test_views(self) -> None:
        frames = mixed()
        assert len(frames) == len(list(frames)) == 4
        assert frames.counts.tolist() == [4, 8, 4, 8]
        assert frames.elements == ['Mg', 'Al']
        assert frames.symbols(0) == ['Mg', 'Al', 'Al', 'Al']
        assert frames.rows(1) == slice(4, 12)


class TestRefusals:
    @pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize('column', ['energy', 'forces', 'stress'])
    def test_label_that_is_not_finite_names_the_frame(self, column: str, value: float) -> None:
        atoms = [rattled(0), rattled(1), rattled(2)]
        results = atoms[2].calc.results
        results[column] = value if column == 'energy' else np.full_like(results[column], value)
        with pytest.raises(InvalidFramesError, match=f'{column} of frame 2'):
            Frames.from_atoms(atoms)

    def test_last_atom_belongs_to_its_frame(self) -> None:
        atoms = [rattled(0), rattled(1), rattled(2)]
        atoms[1].calc.results['forces'][-1, 2] = np.nan
        with pytest.raises(InvalidFramesError, match='forces of frame 1 '):
            Frames.from_atoms(atoms)

    @pytest.mark.parametrize('column', ['positions', 'cell'])
    def test_structure_that_is_not_finite(self, column: str) -> None:
        atoms = rattled(uid='given')
        if column == 'positions':
            atoms.positions[0, 0] = np.nan
        else:
            atoms.cell[0, 0] = np.inf
        with pytest.raises(InvalidFramesError, match='frame 0'):
            Frames.from_atoms([atoms])

    @pytest.mark.parametrize('number', [0, 119])
    def test_unknown_element(self, number: int) -> None:
        with pytest.raises(InvalidFramesError, match='atomic numbers'):
            mixed().replace(numbers=np.full(24, number))

    def test_column_of_wrong_length(self) -> None:
        with pytest.raises(InvalidFramesError, match=r'column energy has shape \(3,\), expected \(4,\)'):
            mixed().replace(energy=np.zeros(3))

    @pytest.mark.parametrize('offsets', [[], [1, 24], [0, 23], [0, 12, 12, 24, 24], [0, 12, 4, 20, 24]])
    def test_offsets_that_contradict(self, offsets: list[int]) -> None:
        with pytest.raises(InvalidFramesError):
            mixed().replace(offsets=np.array(offsets, dtype=np.int64))

    def test_frame_without_atoms(self) -> None:
        with pytest.raises(InvalidFramesError, match='at least one atom'):
            Frames.from_atoms([Atoms()])

    def test_stress_without_energy(self) -> None:
        with pytest.raises(InvalidFramesError, match='stress but no energy'):
            mixed().replace(has_stress=True)

    def test_unknown_and_missing_columns(self) -> None:
        arrays = mixed().to_arrays()
        with pytest.raises(InvalidFramesError, match=r"unknown: \['colour'\]"):
            Frames.from_arrays({**arrays, 'colour': np.zeros(4)})
        with pytest.raises(InvalidFramesError, match=r"missing: \['uid'\]"):
            Frames.from_arrays({name: a for name, a in arrays.items() if name != 'uid'})
        with pytest.raises(InvalidFramesError, match='offsets'):
            Frames.from_arrays({})


class TestSets:
    def test_take_keeps_order_and_rows(self) -> None:
        frames = mixed()
        chosen = frames.take([3, 0, 3])
        assert_same(chosen, Frames.from_atoms([frames.atoms(3), frames.atoms(0), frames.atoms(3)]))

    def test_take_nothing(self) -> None:
        assert len(mixed().take([])) == 0

    @pytest.mark.parametrize(('index', 'named'), [(4, '4'), (-1, '-1')])
    def test_take_out_of_range(self, index: int, named: str) -> None:
        with pytest.raises(InvalidFramesError, match=f'index {named} of 4'):
            mixed().take([0, index])

    def test_take_refuses_a_mask(self) -> None:
        # Read as indices, [True, False] would be frames 1 and 0.
        frames = mixed()
        with pytest.raises(InvalidFramesError, match='bool'):
            frames.take(frames.labelled)
        assert len(frames.take(np.flatnonzero(frames.labelled))) == 3

    def test_concatenate_undoes_take(self) -> None:
        frames = mixed()
        assert_same(Frames.concatenate([frames.take([0]), frames.take([1, 2]), frames.take([]), frames.take([3])]), frames)

    def test_concatenate_keeps_long_texts(self) -> None:
        short, long = (Frames.from_atoms([rattled(config_type=text)]) for text in ('a', 'a' * 50))
        assert Frames.concatenate([short, long]).config_type.tolist() == ['a', 'a' * 50]

    def test_empty(self) -> None:
        for empty in (Frames.from_atoms([]), Frames.concatenate([])):
            assert len(empty) == 0
            assert list(empty) == empty.elements == []
            assert_same(Frames.from_arrays(empty.to_arrays()), empty)

    def test_replace_with_scalar_and_column(self) -> None:
        frames = mixed().replace(round=7, config_type='md', uid=['a', 'b', 'c', 'd'])
        assert frames.round.tolist() == [7] * 4
        assert set(frames.config_type) == {'md'}
        assert frames.uid.tolist() == ['a', 'b', 'c', 'd']

    def test_replace_refuses_unknown_column(self) -> None:
        with pytest.raises(TypeError, match='colour'):
            mixed().replace(colour='red')

    def test_one_hundred_thousand(self) -> None:
        part = Frames.from_atoms([rattled(seed) for seed in range(100)])
        frames = Frames.concatenate([part] * 1000)
        assert len(frames) == 100_000
        assert frames.offsets[-1] == len(part.numbers) * 1000
        assert_same(frames.take(np.arange(99_900, 100_000)), part)


class TestStorage:
    def test_save_and_load(self, tmp_path: Path) -> None:
        frames = mixed().replace(config_type=['rattle', 'Gitterlücke', '', 'md'])
        frames.save(tmp_path / 'frames.npz')
        assert_same(Frames.load(tmp_path / 'frames.npz'), frames)

    def test_unlabelled_frames_store_no_label_columns(self, tmp_path: Path) -> None:
        frames = Frames.from_atoms([rattled(0, label=False), rattled(1, label=False)])
        assert 'forces' not in frames.to_arrays()
        frames.save(tmp_path / 'frames.npz')
        assert_same(Frames.load(tmp_path / 'frames.npz'), frames)

    def test_reasons_are_stored_where_there_are_any(self, tmp_path: Path) -> None:
        frames = mixed()
        assert 'reason' not in frames.to_arrays(), 'so the bytes of all other frames are those of older versions'
        told = frames.replace(reason=['', 'force_cap', '', ''])
        told.save(tmp_path / 'frames.npz')
        found = Frames.load(tmp_path / 'frames.npz')
        assert_same(found, told)
        assert [atoms.info.get('reason') for atoms in found] == [None, 'force_cap', None, None]
        assert Frames.concatenate([frames, found.take([1])]).reason.tolist() == ['', '', '', '', 'force_cap']
        assert Frames.from_atoms(found).reason.tolist() == told.reason.tolist()

    def test_file_keeps_the_name_it_was_given(self, tmp_path: Path) -> None:
        mixed().save(tmp_path / 'frames.bin')
        assert [p.name for p in tmp_path.iterdir()] == ['frames.bin']


class TestUid:
    def test_form(self) -> None:
        assert len(uid_of(rattled())) == UID_LENGTH
        int(uid_of(rattled()), 16)

    @given(st.permutations(range(4)))
    @settings(max_examples=20, deadline=None)
    def test_permutation(self, order: list[int]) -> None:
        atoms = rattled()
        assert uid_of(atoms[order]) == uid_of(atoms)

    @given(st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=4, max_size=4))
    @settings(max_examples=50, deadline=None)
    def test_lattice_vectors(self, steps: list[tuple[int, int, int]]) -> None:
        atoms = rattled()
        moved = atoms.copy()
        moved.positions += np.array(steps) @ atoms.cell.array
        assert uid_of(moved) == uid_of(atoms)

    @pytest.mark.parametrize('place', [0.3, 0.1, 0.7, 1e-9, -1e-9, 1 - 1e-9])
    def test_lattice_vector_of_a_place_that_is_no_binary_fraction(self, place: float) -> None:
        # A bug that was: 1.3 % 1.0 is 0.30000000000000004.
        first, second = (
            Atoms('Al', cell=[4, 4, 4], pbc=True, scaled_positions=[[place, 0.5, 0.5]]),
            Atoms('Al', cell=[4, 4, 4], pbc=True, positions=[[4 * (place + 1), 2, 2]]),
        )
        assert uid_of(first) == uid_of(second)

    def test_lattice_vector_of_a_slab_without_third_vector(self) -> None:
        slab = Atoms('Al2', cell=[4, 4, 0], pbc=[True, True, False], positions=[[0, 0, 0], [2, 2, 2.1]])
        moved = slab.copy()
        moved.positions[0, 0] += 4.0
        assert uid_of(moved) == uid_of(slab)
        moved.positions[0, 2] += 4.0
        assert uid_of(moved) != uid_of(slab)

    def test_no_translation_along_an_open_direction(self) -> None:
        atoms = rattled()
        atoms.pbc = [True, True, False]
        moved = atoms.copy()
        moved.positions[0] += atoms.cell[2]
        assert uid_of(moved) != uid_of(atoms)

    def test_differences_that_count(self) -> None:
        atoms = rattled()
        strained, swapped, open_, moved = atoms.copy(), atoms.copy(), atoms.copy(), atoms.copy()
        strained.set_cell(atoms.cell * 1.001, scale_atoms=True)
        swapped.numbers[1] = 12
        open_.pbc = False
        moved.positions[0, 0] += 0.01
        assert len({uid_of(a) for a in (atoms, strained, swapped, open_, moved)}) == 5

    def test_labels_and_metadata_do_not_enter(self) -> None:
        assert uid_of(described()) == uid_of(rattled(label=False))

    def test_argument_is_not_modified(self) -> None:
        atoms = rattled()
        before = atoms.copy()
        uid_of(atoms)
        assert atoms == before


class TestCells:
    @pytest.mark.parametrize(
        'cell',
        [
            [[4.0, 0, 0], [0, 4.0, 0], [4.0, 4.0, 0]],
            [[1.0, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.6, 0.9]],
            [[4.0, 0, 0], [8.0, 0, 0], [0, 0, 0]],
            [[4.0, 0, 0], [-4.0, 0, 0], [0, 0, 4.0]],
        ],
    )
    @pytest.mark.parametrize('pbc', [True, False])
    def test_linearly_dependent_vectors(self, cell: list[list[float]], *, pbc: bool) -> None:
        # A bug that was: numpy's LinAlgError, or a hash of numbers that overflowed.
        flat = Atoms('Al2', cell=cell, pbc=pbc, positions=[[0, 0, 0], [1, 1, 1]])
        with pytest.raises(InvalidFramesError) as caught:
            uid_of(flat)
        assert str(caught.value) == f'Al2: the lattice vectors {flat.cell.tolist()} Å are linearly dependent'
        with pytest.raises(InvalidFramesError, match='linearly dependent'):
            Frames.from_atoms([flat])

    @pytest.mark.parametrize('size', [1e-3, 1.0, 1e4])
    def test_skewed_cells_of_any_size_are_none(self, size: float) -> None:
        skewed = Atoms('Al', cell=np.array([[1.0, 0, 0], [1.0, 1e-3, 0], [0.5, 0.5, 0.7]]) * size, pbc=True)
        assert len(uid_of(skewed)) == UID_LENGTH

    def test_molecule_without_cell_keeps_its_hash(self) -> None:
        molecule = Atoms('H2', positions=[[0, 0, 0], [0, 0, 0.74]])
        boxed = Atoms('H2', positions=molecule.positions, cell=[5, 5, 5])
        assert uid_of(molecule) == '5a1a1b616320de30'
        assert uid_of(boxed) != uid_of(molecule)
