"""Data sets of Pacemaker: readable by old versions of pandas and NumPy, energies above the isolated atoms, weights."""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace.pacemaker_data import (
    check_frames,
    corrected_energies,
    dataset,
    force_factors,
    one_fingerprint,
    reference_energies,
)
from tests.pacemaker_data import ALONE, FIXTURES, frames, references

AL = {'Al': ALONE['Al']}
PUBLIC = {('numpy', 'array'), ('pandas', 'DataFrame'), ('pandas', 'Series'), ('pandas', 'Index'), ('ase.atoms', 'Atoms')}


def read(content: bytes) -> pd.DataFrame:
    return pd.read_pickle(io.BytesIO(content), compression='gzip')


def globals_of(content: bytes) -> set[tuple[str, str]]:
    """Return what a pickle imports."""

    class Listing(pickle.Unpickler):
        found: set[tuple[str, str]] = set()

        def find_class(self, module: str, name: str) -> Any:
            self.found.add((module, name))
            return super().find_class(module, name)

    listing = Listing(io.BytesIO(gzip.decompress(content)))
    listing.load()
    return listing.found


def single(pbc: Any = True, energy: float = -3.0, **info: Any) -> Atoms:
    atoms = Atoms('Al', cell=[4.0] * 3, pbc=pbc)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=[[0.0] * 3])
    atoms.info = {'fingerprint': 'emt', **info}
    return atoms


class TestFormat:
    def test_it_names_public_functions_only(self) -> None:
        found = globals_of(dataset(frames(count=3), AL, np.ones(3)))
        assert found == PUBLIC

    def test_what_pandas_3_itself_writes_names_its_insides(self) -> None:
        stream = io.BytesIO()
        pd.DataFrame({'name': ['a']}).to_pickle(stream, compression='gzip', protocol=4)
        assert not globals_of(stream.getvalue()) <= PUBLIC

    def test_protocol_and_types(self) -> None:
        content = dataset(frames(count=3), AL, np.ones(3))
        first = next(pickletools.genops(gzip.decompress(content)))
        assert (first[0].name, first[1]) == ('PROTO', 4)
        table = read(content)
        assert table.columns.dtype == object
        assert {name: str(kind) for name, kind in table.dtypes.items()} == {
            'ase_atoms': 'object',
            'energy_corrected': 'float64',
            'forces': 'object',
            'name': 'object',
            'w_energy': 'float64',
            'w_forces': 'object',
        }

    def test_the_same_frames_give_the_same_bytes(self) -> None:
        assert dataset(frames(count=2), AL, None) == dataset(frames(count=2), AL, None)

    def test_it_holds_what_the_recorded_data_set_holds(self) -> None:
        recorded = pd.read_pickle(FIXTURES / 'data' / 'al_emt.pckl.gzip', compression='gzip')
        table = read(dataset(frames(), AL, np.ones(60)))
        assert len(table) == len(recorded) == 60
        assert np.allclose(table['energy_corrected'], recorded['energy_corrected'], rtol=0, atol=1e-12)
        for ours, theirs in zip(table.itertuples(), recorded.itertuples(), strict=True):
            assert np.array_equal(ours.forces, theirs.forces)
            assert np.array_equal(ours.ase_atoms.positions, theirs.ase_atoms.positions)
            assert np.array_equal(ours.ase_atoms.cell.array, theirs.ase_atoms.cell.array)
            assert ours.ase_atoms.get_chemical_symbols() == theirs.ase_atoms.get_chemical_symbols()
            assert ours.ase_atoms.pbc.all()
            assert ours.forces.dtype == np.float64
            assert ours.ase_atoms.calc is None

    def test_no_column_energy(self) -> None:
        assert 'energy' not in read(dataset(frames(count=1), AL, None)).columns

    def test_names_do_not_look_like_augmented_structures(self) -> None:
        table = read(dataset(frames(count=3), AL, None))
        assert table['name'].tolist() == frames(count=3).uid.tolist()
        assert not table['name'].str.startswith('augmented').any()

    def test_two_elements_and_a_molecule(self) -> None:
        molecule = Atoms('AlCu', positions=[[0, 0, 0], [0, 0, 2.5]])
        molecule.calc = SinglePointCalculator(molecule, energy=-4.0, forces=np.zeros((2, 3)))
        table = read(dataset(Frames.from_atoms([molecule, single()]), ALONE, None))
        assert table['energy_corrected'].tolist() == [-0.25, -1.5]
        assert [atoms.get_chemical_formula() for atoms in table['ase_atoms']] == ['AlCu', 'Al']
        assert not table['ase_atoms'][0].pbc.any()


class TestWeights:
    def test_pacemakers_uniform_weights_come_out(self) -> None:
        """Pacemaker's own: w_energy = 1/n_frames, w_forces = 1/n_atoms after both were divided by their sums."""
        table = read(dataset(frames(count=4), AL, np.ones(4)))
        w_energy = table['w_energy'] / table['w_energy'].sum()
        w_forces = table['w_forces'] / table['w_forces'].map(sum).sum()
        assert np.allclose(w_energy, 1 / 4)
        assert np.allclose(np.concatenate(w_forces.to_list()), 1 / (4 * 32))

    def test_factors_scale_the_forces_of_each_structure(self) -> None:
        table = read(dataset(frames(count=3), AL, np.array([1.0, 5.0, 0.5])))
        assert [row[0] for row in table['w_forces']] == [1.0, 5.0, 0.5]
        assert {row.shape for row in table['w_forces']} == {(32,)}
        assert table['w_energy'].tolist() == [1.0] * 3

    def test_left_to_pacemaker(self) -> None:
        assert {'w_energy', 'w_forces'}.isdisjoint(read(dataset(frames(count=1), AL, None)).columns)

    def test_one_factor_for_all(self) -> None:
        assert force_factors(frames(count=2), 3.0).tolist() == [3.0, 3.0]

    def test_one_factor_for_each_type(self) -> None:
        mixed = Frames.from_atoms([single(config_type='md'), single(config_type='sqs'), single(config_type='md')])
        assert force_factors(mixed, {'md': 4.0}).tolist() == [4.0, 1.0, 4.0]

    def test_a_type_that_no_frame_has(self) -> None:
        with pytest.raises(InputError, match=r"kappa_f: names the config_type 'mdd', which no frame has; present are "):
            force_factors(frames(count=1), {'mdd': 4.0})


class TestEnergies:
    def test_the_isolated_atoms_are_subtracted(self) -> None:
        assert corrected_energies(Frames.from_atoms([single(), single(energy=1.0)]), AL).tolist() == [-1.5, 2.5]

    def test_an_element_without_reference(self) -> None:
        with pytest.raises(InputError, match=r"no energy of the isolated atom of \['Al'\]; known are \['Cu'\]"):
            corrected_energies(frames(count=1), {'Cu': 0.0})

    def test_references(self) -> None:
        assert reference_energies(references('Cu', 'Al'), ['Al', 'Cu']) == ALONE

    def test_a_reference_that_is_no_single_atom_does_not_count(self) -> None:
        with pytest.raises(InputError, match=r"no labelled isolated atom of \['Al'\]"):
            reference_energies(frames(count=1), ['Al'])

    def test_one_level_of_theory(self) -> None:
        assert one_fingerprint(frames(count=2), references('Al')) == 'emt'
        with pytest.raises(InputError, match=r"labels of 2 levels of theory .* \['emt', 'pbe'\]"):
            one_fingerprint(frames(count=2), references('Al').replace(fingerprint='pbe'))


class TestCheck:
    def test_good_frames(self) -> None:
        check_frames(frames(), AL)

    def test_no_frames(self) -> None:
        with pytest.raises(InputError, match='test_frames: holds no structure'):
            check_frames(Frames.from_atoms([]), AL, 'test_frames')

    def test_unlabelled(self) -> None:
        with pytest.raises(InputError, match='frames: 2 of 2 frames are not labelled'):
            check_frames(frames(count=2, labelled=False), AL)

    def test_mixed_periodicity(self) -> None:
        with pytest.raises(InputError, match=r'frame 1 has pbc \[True, True, False\]; Pacemaker takes only'):
            check_frames(Frames.from_atoms([single(), single(pbc=[True, True, False])]), AL)

    def test_not_periodic_is_fine(self) -> None:
        check_frames(Frames.from_atoms([single(pbc=False)]), AL)

    @pytest.mark.parametrize(('energy', 'ok'), [(-21.4, True), (-21.6, False), (248.4, True), (248.6, False), (-537.0, False)])
    def test_energies_that_pacemaker_would_shift(self, energy: float, ok: bool) -> None:
        bad = Frames.from_atoms([single(), single(energy=energy)])
        if ok:
            check_frames(bad, AL)
            return
        with pytest.raises(InputError, match=r'frame 1 has .* Pacemaker would replace the reference energies without asking'):
            check_frames(bad, AL)
