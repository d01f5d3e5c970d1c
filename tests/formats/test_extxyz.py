"""Extended XYZ: exact round trips, files of other programs, and refusals that name file and frame."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import FormatError, InvalidFramesError
from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.formats import extxyz
from aiida_mlip_autopipe.formats.extxyz import TEXT_KEYS, read_extxyz, write_extxyz
from tests.common.test_frames import assert_same, mixed, rattled

AWKWARD = [
    '1234567890123456',
    '12e4567890123456',
    '0x1f',
    'T',
    'false',
    'nan',
    '1 2 3',
    '  spaces ',
    'comma,separated',
    'quote " and \' here',
    'back\\slash\\',
    'key=value other=2',
    '[1, 2]',
    '{"a": "b\\"c", "d": [1.5, null], "e": "\\u00e9"}',
    'Gitterlücke',
    'two\nlines',
    '_JSON 1',
    'tab\tulator',
]
PLAIN_XYZ = '2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 pbc="T T F"\nAl 0 0 0\nMg 0.1 1.0 2\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'frames.extxyz'


class TestRoundTrip:
    def test_every_column(self, path: Path) -> None:
        write_extxyz(path, mixed())
        assert_same(read_extxyz(path), mixed())

    def test_empty(self, path: Path) -> None:
        write_extxyz(path, Frames.from_atoms([]))
        assert len(read_extxyz(path)) == 0

    def test_unlabelled(self, path: Path) -> None:
        frames = Frames.from_atoms([rattled(0, label=False)])
        write_extxyz(path, frames)
        assert_same(read_extxyz(path), frames)

    @pytest.mark.parametrize('pbc', [(False, False, False), (True, False, True)])
    def test_open_directions_and_no_cell(self, path: Path, pbc: tuple[bool, bool, bool]) -> None:
        atoms = rattled()
        atoms.pbc = pbc
        molecule = ase.Atoms('H', positions=[[0.1, 0.2, 0.3]])
        frames = Frames.from_atoms([atoms, molecule])
        write_extxyz(path, frames)
        assert_same(read_extxyz(path), frames)

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12), min_size=13, max_size=13))
    @settings(max_examples=50, deadline=None)
    def test_numbers_are_exact(self, tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
        path = tmp_path_factory.mktemp('numbers') / 'frames.extxyz'
        frames = Frames.from_atoms([rattled(uid='given')]).replace(
            positions=np.resize(values[:3], (4, 3)),
            forces=np.resize(values[3:6], (4, 3)),
            stress=np.array([values[6:12]]),
            energy=np.array([values[12]]),
        )
        write_extxyz(path, frames)
        assert_same(read_extxyz(path), frames)

    @pytest.mark.parametrize('key', TEXT_KEYS)
    @pytest.mark.parametrize('text', AWKWARD)
    def test_texts_that_look_like_something_else(self, path: Path, key: str, text: str) -> None:
        frames = mixed().replace(**{key: text})
        write_extxyz(path, frames)
        assert_same(read_extxyz(path), frames)

    @given(st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), min_size=1))
    @settings(max_examples=100, deadline=None)
    def test_any_text(self, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
        path = tmp_path_factory.mktemp('text') / 'frames.extxyz'
        frames = mixed().replace(origin=text, config_type=text)
        write_extxyz(path, frames)
        assert_same(read_extxyz(path), frames)

    def test_uid_is_carried_not_computed(self, path: Path) -> None:
        write_extxyz(path, mixed().replace(uid='carried'))
        assert set(read_extxyz(path).uid) == {'carried'}


class TestOtherPrograms:
    def test_ase_reads_what_is_written(self, path: Path) -> None:
        frames = mixed()
        write_extxyz(path, frames)
        found = ase.io.read(path, index=':')
        assert len(found) == 4
        assert found[0].get_potential_energy() == frames.energy[0]
        np.testing.assert_array_equal(found[0].get_forces(), frames.forces[:4])
        np.testing.assert_array_equal(found[0].get_stress(), frames.stress[0])
        np.testing.assert_array_equal(found[0].positions, frames.positions[:4])
        assert found[0].info['config_type'] == 'rattle'
        assert json.loads(found[0].info['origin'])['sigma'] == 0.1
        assert found[1].calc is None

    def test_what_ase_writes_is_imported(self, path: Path) -> None:
        atoms = rattled()
        atoms.info['temperature'] = 300
        ase.io.write(path, [atoms, rattled(1, label=False)])
        frames = read_extxyz(path)
        (first, second) = ase.io.read(path, index=':')
        assert frames.uid.tolist() == frames.lineage.tolist() == [uid_of(first), uid_of(second)]
        assert frames.labelled.tolist() == [True, False]
        assert frames.has_stress.tolist() == [True, False]
        assert frames.energy[0] == first.get_potential_energy()

    def test_constraints_and_extra_columns_are_dropped(self, path: Path) -> None:
        atoms = bulk('Al', cubic=True)
        atoms.set_array('grade', np.arange(4.0))
        atoms.set_constraint(ase.constraints.FixAtoms([0]))
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.ones((4, 3)))
        ase.io.write(path, atoms, format='extxyz')
        assert (read_extxyz(path).forces == 1.0).all()

    def test_plain_numbers_and_blank_lines(self, path: Path) -> None:
        path.write_text(f'{PLAIN_XYZ}\n\n{PLAIN_XYZ}\n')
        frames = read_extxyz(path)
        assert len(frames) == 2
        assert frames.pbc[1].tolist() == [True, True, False]
        assert frames.elements == ['Mg', 'Al']


class TestRefusals:
    def test_missing_file(self, path: Path) -> None:
        with pytest.raises(FormatError, match=r'cannot read .*frames\.extxyz'):
            read_extxyz(path)

    @pytest.mark.parametrize(
        ('content', 'complaint'),
        [
            ('&CONTROL\n/\n', r"frame 0: expected a number of atoms, got '&CONTROL'"),
            ('0\n\n', "expected a number of atoms, got '0'"),
            ('-2\n\n', "expected a number of atoms, got '-2'"),
            (PLAIN_XYZ + 'rubbish\n', "frame 1: expected a number of atoms, got 'rubbish'"),
            (PLAIN_XYZ + PLAIN_XYZ.replace('Mg 0.1 1.0 2\n', ''), 'frame 1: ends after 1 of 2 atoms'),
            (PLAIN_XYZ + '3\n', 'frame 1: ends after 0 of 3 atoms'),
            (PLAIN_XYZ + PLAIN_XYZ.replace('1.0 2', '1.0'), 'frame 1: not extended XYZ'),
            (PLAIN_XYZ + PLAIN_XYZ.replace('0.1', 'left'), 'frame 1: not extended XYZ'),
            (PLAIN_XYZ.replace('Al', 'Qq'), 'frame 0: not extended XYZ'),
            (PLAIN_XYZ.replace('4 0 0 0 4 0 0 0 4', '4 4 4'), 'frame 0: not extended XYZ'),
            (PLAIN_XYZ.replace('Properties=species:S:1:pos:R:3', 'Properties'), 'frame 0: not extended XYZ'),
            (PLAIN_XYZ.replace('pos:R', 'pos:Q'), 'frame 0: not extended XYZ'),
        ],
    )
    def test_not_extended_xyz(self, path: Path, content: str, complaint: str) -> None:
        path.write_text(content)
        with pytest.raises(FormatError, match=rf'frames\.extxyz, {complaint}' if 'frame ' in complaint else complaint):
            read_extxyz(path)

    def test_binary_file(self, path: Path) -> None:
        path.write_bytes(b'\x89PNG\xff\xfe\x00')
        with pytest.raises(FormatError, match='cannot read'):
            read_extxyz(path)

    @pytest.mark.parametrize('value', ['nan', 'inf', '-Infinity'])
    def test_label_that_is_not_finite(self, path: Path, value: str) -> None:
        write_extxyz(path, mixed())
        lines = path.read_text().splitlines(keepends=True)
        last = 'energy=' + lines[-9].split('energy=')[1].split()[0]
        lines[-9] = lines[-9].replace(last, f'energy={value}')
        path.write_text(''.join(lines))
        with pytest.raises(InvalidFramesError, match=r'frames\.extxyz: column energy of frame 3'):
            read_extxyz(path)

    @pytest.mark.parametrize(
        ('comment', 'columns'),
        [('round=first', ''), ('energy="1 2"', ':forces:R:3'), ('energy=low', ':forces:R:3')],
    )
    def test_value_of_wrong_kind_names_the_frame(self, path: Path, comment: str, columns: str) -> None:
        atoms = '1\nProperties=species:S:1:pos:R:3{} {}\nH 0 0 0 0 0 0\n'
        path.write_text(atoms.format('', '') + atoms.format(columns, comment))
        with pytest.raises(InvalidFramesError, match=r'frames\.extxyz, frame 1'):
            read_extxyz(path)

    def test_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match='cannot write'):
            write_extxyz(tmp_path / 'nowhere' / 'frames.extxyz', mixed())

    def test_path_is_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match='cannot write'):
            write_extxyz(tmp_path, mixed())
        assert list(tmp_path.iterdir()) == []


class TestAtomicity:
    def test_failed_write_keeps_the_old_file(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_extxyz(path, mixed())
        before = path.read_text()

        def fail(frames: Frames, index: int) -> str:
            if index == 2:
                raise OSError('No space left on device')
            return 'half of it\n'

        monkeypatch.setattr(extxyz, '_block', fail)
        with pytest.raises(FormatError, match='No space left'):
            write_extxyz(path, mixed())
        assert path.read_text() == before
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    def test_success_leaves_one_readable_file(self, path: Path) -> None:
        write_extxyz(path, mixed())
        write_extxyz(path, mixed())
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        # Not mkstemp's 0600: colleagues read the file too.
        assert path.stat().st_mode & stat.S_IRUSR
        reference = path.with_name('reference')
        reference.touch()
        assert path.stat().st_mode == reference.stat().st_mode
