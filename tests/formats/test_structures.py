"""Structures out of files of other programs, with a declared level of theory."""

from __future__ import annotations

import re
from pathlib import Path

import ase.test
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.formats.structures import import_frames, read_structures

THEORY = {'code': 'emt', 'version': 1}


def labelled() -> Atoms:
    atoms = bulk('Cu', cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    labels = {'energy': atoms.get_potential_energy(), 'forces': atoms.get_forces()}
    plain = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    plain.calc = SinglePointCalculator(plain, **labels)
    return plain


def write_db(path: Path) -> None:
    connect(path).write(labelled())


def write_pacemaker(path: Path) -> None:
    atoms = labelled()
    columns = {'ase_atoms': [atoms], 'energy': [atoms.get_potential_energy()], 'forces': [atoms.get_forces()]}
    pd.DataFrame(columns).to_pickle(path, compression='gzip', protocol=4)


WRITERS = {
    'a.extxyz': lambda path: write(path, labelled()),
    'a.traj': lambda path: write(path, labelled()),
    'a.db': write_db,
    'a.pckl.gzip': write_pacemaker,
}


@pytest.mark.parametrize('name', WRITERS)
def test_labels_arrive_with_their_level_of_theory(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    frames = import_frames(tmp_path / name, THEORY)
    atoms = labelled()
    assert frames.labelled.tolist() == [True]
    assert frames.fingerprint.tolist() == [fingerprint_of(THEORY)]
    assert frames.config_type.tolist() == ['imported']
    assert frames.energy[0] == pytest.approx(atoms.get_potential_energy())
    np.testing.assert_allclose(frames.forces, atoms.get_forces(), atol=1e-7)


@pytest.mark.parametrize('name', WRITERS)
def test_labels_of_an_unknown_level_are_refused(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    with pytest.raises(FormatError, match=r'1 of 1 frames have labels of an unknown level of theory; declare it'):
        import_frames(tmp_path / name)


@pytest.mark.parametrize('name', ['a.cif', 'POSCAR', 'a.xyz'])
def test_unlabelled_structures_need_none(tmp_path: Path, name: str) -> None:
    form = {'POSCAR': 'vasp', 'a.xyz': 'extxyz'}.get(name)
    write(tmp_path / name, bulk('Cu', cubic=True), format=form)
    frames = import_frames(tmp_path / name)
    assert (len(frames), frames.elements, frames.labelled.any()) == (1, ['Cu'], False)


@pytest.mark.parametrize('name', ['a.cif', 'a.db', 'a.pckl.gzip', 'OUTCAR', 'vasprun.xml', 'a.what'])
def test_rubbish_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('rubbish\n', encoding='utf-8')
    with pytest.raises(FormatError, match=r'ASE cannot read it|has no structure'):
        read_structures(tmp_path / name)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match='ASE cannot read it'):
        read_structures(tmp_path / 'none.cif')


VASP = Path(ase.test.__file__).parent / 'testdata' / 'vasp'
FIXTURES = Path(__file__).parents[1] / 'fixtures'


class TestRealOutputs:
    """What the programs themselves wrote."""

    @pytest.mark.parametrize(
        ('path', 'formula', 'energy'),
        [
            (VASP / 'OUTCAR_example_1', 'Ni18', -68.22868532),  # free  energy   TOTEN
            (VASP / 'vasprun_pstress.xml', 'C2', None),
            (FIXTURES / 'pw' / 'good' / 'aiida.out', 'Al2', -114.99593598),  # -8.45204434 Ry, F
        ],
        ids=['OUTCAR', 'vasprun', 'pw'],
    )
    def test_energy_forces_and_stress(self, path: Path, formula: str, energy: float | None) -> None:
        frames = import_frames(path, THEORY)
        (atoms,) = frames
        assert atoms.get_chemical_formula() == formula
        assert (frames.labelled.tolist(), frames.has_stress.tolist()) == ([True], [True])
        if energy is not None:
            assert frames.energy[0] == pytest.approx(energy, abs=1e-6)
        assert np.abs(frames.forces.sum(axis=0)).max() < 0.05  # no net force

    def test_the_energy_of_vasp_is_that_of_which_the_forces_are_derivatives(self) -> None:
        text = (VASP / 'vasprun_pstress.xml').read_text(encoding='utf-8')
        *_, told, _enthalpy = re.findall(r'name="e_fr_energy">\s*(-?[\d.]+)', text)
        assert import_frames(VASP / 'vasprun_pstress.xml', THEORY).energy[0] == pytest.approx(float(told))

    def test_a_data_set_of_pacemaker(self) -> None:
        frames = import_frames(FIXTURES / 'pacemaker' / 'data' / 'alcu_emt.pckl.gzip', THEORY)
        assert (len(frames), frames.labelled.all(), frames.elements) == (60, True, ['Al', 'Cu'])
        table = pd.read_pickle(FIXTURES / 'pacemaker' / 'data' / 'alcu_emt.pckl.gzip', compression='gzip')
        np.testing.assert_allclose(frames.energy, table['energy'])
        np.testing.assert_allclose(frames.forces, np.concatenate(table['forces'].to_list()))

    def test_a_run_that_crashed_has_no_labels(self) -> None:
        with pytest.raises(FormatError, match=r'ASE cannot read it|has no structure'):
            import_frames(FIXTURES / 'pw' / 'crashed' / 'aiida.out', THEORY)
