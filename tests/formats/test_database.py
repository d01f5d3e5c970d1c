"""The ase.db mirror: idempotent, all or nothing, and safe against other writers, living or killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase.db import connect

from aiida_mlip_autopipe.common.errors import FormatError, InputError, InvalidFramesError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.database import LOCK_SUFFIX, DatabaseManager, MirrorReport, database_text
from tests.common.test_frames import described, rattled

NODE = 'd3b07384-d9a0-4c9b-8f7e-0123456789ab'
START_S = 60.0


def labelled(*seeds: int, **columns: object) -> Frames:
    return Frames.from_atoms([described(seed) for seed in seeds]).replace(**columns)


def mirror(path: Path, frames: Frames, **options: str) -> MirrorReport:
    with DatabaseManager(path) as database:
        return database.mirror(frames, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'labels.db'


class TestRows:
    def test_labels_survive(self, path: Path) -> None:
        frames = labelled(0, 1)
        assert mirror(path, frames) == MirrorReport(added=2, present=0, total=2)
        for index, row in enumerate(connect(path).select()):
            atoms = row.toatoms()
            rows = frames.rows(index)
            assert row.energy == frames.energy[index]
            np.testing.assert_array_equal(row.forces, frames.forces[rows])
            np.testing.assert_array_equal(row.stress, frames.stress[index])
            np.testing.assert_array_equal(atoms.positions, frames.positions[rows])
            np.testing.assert_array_equal(atoms.cell.array, frames.cells[index])
            np.testing.assert_array_equal(atoms.numbers, frames.numbers[rows])
            np.testing.assert_array_equal(atoms.pbc, frames.pbc[index])

    def test_missing_stress_stays_missing(self, path: Path) -> None:
        mirror(path, Frames.from_atoms([rattled(stress=False)]))
        assert 'stress' not in connect(path).get(1)

    def test_keys(self, path: Path) -> None:
        frames = labelled(0)
        mirror(path, frames, frames_uuid=NODE, split='train')
        row = connect(path).get(1)
        assert row.key_value_pairs == {
            'uid': f't:{frames.uid[0]}',
            'lineage': 't:root',
            'parent': 't:mother',
            'fingerprint': 't:pbe',
            'config_type': 'rattle',
            'label_uuid': '5f3c',
            'round': 3,
            'frames_uuid': NODE,
            'split': 'train',
        }
        assert row.data == {'origin': {'strategy': 'rattle', 'sigma': 0.1}}

    def test_empty_texts_are_left_out(self, path: Path) -> None:
        mirror(path, Frames.from_atoms([rattled()]))
        assert set(connect(path).get(1).key_value_pairs) == {'uid', 'lineage', 'round'}

    def test_origin_of_another_program(self, path: Path) -> None:
        mirror(path, labelled(0, origin='by hand'))
        assert connect(path).get(1).data == {'origin': 'by hand'}

    def test_queries_with_ase_alone(self, path: Path) -> None:
        frames = labelled(0, 1, config_type=['rattle', 'md'])
        mirror(path, frames)
        database = connect(path)
        assert database.get(config_type='md').id == 2
        assert database.get('config_type=md,round=3').id == 2
        assert database.get(uid=database_text('uid', str(frames.uid[0]))).id == 1
        assert database.count(Mg=1) == 2

    @pytest.mark.parametrize('text', ['1234567890123456', '12e4567890123456', '1e5', '1e999', 'True', 'nan', 'inf', '1_0', 't:x'])
    @pytest.mark.parametrize('key', ['uid', 'lineage', 'parent', 'fingerprint', 'config_type', 'label_uuid'])
    def test_texts_that_look_like_numbers(self, path: Path, key: str, text: str) -> None:
        mirror(path, labelled(0, 1, **{key: [text, 'other']}))
        with DatabaseManager(path) as database:
            assert database.get(**{key: text}).id == 1
            assert database.mirror(labelled(0, 1, **{key: [text, 'other']})).added == 0
        assert connect(path).get(**{key: database_text(key, text)}).id == 1

    def test_hash_whose_value_is_infinite_is_not_mixed_up(self, path: Path) -> None:
        # As floats both are inf.
        report = mirror(path, labelled(0, 1, uid=['12e4567890123456', '34e4567890123456']))
        assert report.added == 2


class TestIdempotence:
    def test_second_mirror_adds_nothing(self, path: Path) -> None:
        mirror(path, labelled(0, 1))
        assert mirror(path, labelled(0, 1)) == MirrorReport(added=0, present=2, total=2)

    def test_extended_set_adds_what_is_new(self, path: Path) -> None:
        mirror(path, labelled(0, 1))
        assert mirror(path, labelled(2, 0, 1, 3)) == MirrorReport(added=2, present=2, total=4)

    def test_frame_given_twice(self, path: Path) -> None:
        assert mirror(path, labelled(0, 0)) == MirrorReport(added=1, present=1, total=1)

    def test_other_level_of_theory_is_another_row(self, path: Path) -> None:
        frames = labelled(0)
        mirror(path, frames)
        assert mirror(path, labelled(0, fingerprint='scan')).added == 1
        assert mirror(path, labelled(0, fingerprint='')).added == 1
        with DatabaseManager(path) as database:
            assert len(list(database.select(uid=str(frames.uid[0])))) == 3
            assert database.get(uid=str(frames.uid[0]), fingerprint='scan').id == 2
            with pytest.raises(InputError, match='3 rows'):
                database.get(uid=str(frames.uid[0]))
            with pytest.raises(InputError, match='0 rows'):
                database.get(uid='absent')

    def test_nothing_to_mirror(self, path: Path) -> None:
        assert mirror(path, Frames.from_atoms([])) == MirrorReport(added=0, present=0, total=0)

    def test_rows_of_other_people_stay(self, path: Path) -> None:
        connect(path).write(rattled(), name='mine')
        assert mirror(path, labelled(0)) == MirrorReport(added=1, present=0, total=2)
        assert connect(path).get(name='mine').id == 1

    def test_two_sets_in_one_transaction(self, path: Path) -> None:
        with DatabaseManager(path) as database:
            database.mirror(labelled(0), split='train')
            assert database.mirror(labelled(0, 1), split='test') == MirrorReport(added=1, present=1, total=2)
        assert [row.split for row in connect(path).select()] == ['train', 'test']


class TestRefusals:
    def test_unlabelled_frame_is_named_and_nothing_written(self, path: Path) -> None:
        frames = Frames.from_atoms([described(0), rattled(1, label=False)])
        with pytest.raises(InvalidFramesError, match=f'frame 1 .*{frames.uid[1]}'):
            mirror(path, frames)
        assert not path.exists()

    @pytest.mark.parametrize('column', ['energy', 'forces', 'stress'])
    @pytest.mark.parametrize('value', [np.nan, np.inf])
    def test_label_spoilt_after_the_check(self, path: Path, column: str, value: float) -> None:
        mirror(path, labelled(0))
        before = path.read_bytes()
        frames = labelled(1, 2)
        getattr(frames, column)[-1] = value
        with pytest.raises(InvalidFramesError, match=f'{column} of frame 1'):
            mirror(path, frames)
        assert path.read_bytes() == before

    def test_unknown_split(self, path: Path) -> None:
        with pytest.raises(InputError, match="split is 'training'"):
            mirror(path, labelled(0), split='training')

    def test_not_a_database(self, path: Path) -> None:
        path.write_text('config_type: rattle\n' * 1000)
        with pytest.raises(FormatError, match=r'labels\.db as an ase\.db file'):
            mirror(path, labelled(0))
        assert path.read_text().startswith('config_type')

    def test_sqlite_file_of_another_program(self, path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute('CREATE TABLE db_dbnode (id INTEGER)')
        before = path.read_bytes()
        with pytest.raises(FormatError, match='lacks the tables'):
            mirror(path, labelled(0))
        assert path.read_bytes() == before

    def test_newer_format(self, path: Path) -> None:
        mirror(path, labelled(0))
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE information SET value = '99' WHERE name = 'version'")
        with pytest.raises(FormatError, match='version 99'):
            mirror(path, labelled(0))

    def test_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match='cannot write'):
            mirror(tmp_path / 'nowhere' / 'labels.db', labelled(0))

    @pytest.mark.skipif(os.geteuid() == 0, reason='the superuser may write everywhere')
    def test_folder_that_is_not_writable(self, tmp_path: Path) -> None:
        folder = tmp_path / 'closed'
        folder.mkdir(mode=0o500)
        with pytest.raises(FormatError, match='cannot write'):
            mirror(folder / 'labels.db', labelled(0))

    def test_path_is_a_folder(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(FormatError, match='unable to open'):
            mirror(path, labelled(0))

    def test_name_that_ase_would_not_read(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match=r'must end in \.db'):
            mirror(tmp_path / 'labels.sqlite', labelled(0))

    def test_use_outside_the_with_block(self, path: Path) -> None:
        database = DatabaseManager(path)
        with pytest.raises(InputError, match='not open'):
            database.mirror(labelled(0))
        with database:
            pass
        with pytest.raises(InputError, match='not open'):
            database.get(uid='a')


def break_off(path: Path, frames: Frames, *, changes_before: int = 0) -> None:
    with DatabaseManager(path) as database:
        database._open.change_count = changes_before
        assert database.mirror(frames).added == len(frames)
        raise KeyboardInterrupt


def break_the_tables(path: Path) -> None:
    with DatabaseManager(path) as database:
        database._connection.execute('DROP TABLE species')
        database.mirror(labelled(0))


class TestAllOrNothing:
    def test_exception_undoes_everything(self, path: Path) -> None:
        mirror(path, labelled(0))
        before = path.read_bytes()
        with pytest.raises(KeyboardInterrupt):
            break_off(path, labelled(1, 2))
        assert path.read_bytes() == before
        assert mirror(path, labelled(1, 2)).added == 2

    def test_exception_leaves_no_new_file(self, path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            break_off(path, labelled(1, 2))
        assert not path.exists()

    def test_more_rows_than_ase_keeps_uncommitted(self, path: Path) -> None:
        # ASE commits when its count of changes reaches a multiple of 5000.
        mirror(path, labelled(0))
        with pytest.raises(KeyboardInterrupt):
            break_off(path, labelled(1, 2, 3, 4), changes_before=4998)
        assert len(connect(path)) == 1

    def test_error_of_sqlite_becomes_a_sentence(self, path: Path) -> None:
        mirror(path, labelled(1))
        with pytest.raises(FormatError, match='no such table'):
            break_the_tables(path)
        assert mirror(path, labelled(0)).total == 2


WRITER = """
    import sys, time
    from pathlib import Path
    from aiida_mlip_autopipe.common.frames import Frames
    from aiida_mlip_autopipe.formats.database import DatabaseManager

    path, frames, go, held = (Path(name) for name in sys.argv[1:5])
    frames = Frames.load(frames)
    Path(str(held) + '.ready').touch()
    while not go.exists():
        time.sleep(0.005)
    for part in range(0, len(frames), 5):
        with DatabaseManager(path) as database:
            database.mirror(frames.take(range(part, min(part + 5, len(frames)))))
            if 'hold' in sys.argv:
                held.touch()
                time.sleep(600)
"""


class Writers:
    """Other processes that mirror frames."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, path: Path, frames: Frames, *options: str) -> Path:
        number = len(self.processes)
        frames.save(self.folder / f'{number}.npz')
        held = self.folder / f'{number}.held'
        names = [path, self.folder / f'{number}.npz', self.folder / 'go', held, *options]
        command = [sys.executable, '-c', textwrap.dedent(WRITER), *map(str, names)]
        self.processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        self.wait_for(Path(f'{held}.ready'))
        return held

    def go(self) -> None:
        (self.folder / 'go').touch()

    def wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + START_S
        while not path.exists():
            assert self.processes[-1].poll() is None, self.processes[-1].communicate()[1]
            assert time.monotonic() < deadline, f'{path} never appeared'
            time.sleep(0.01)


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Writers]:
    folder = tmp_path / 'writers'
    folder.mkdir()
    found = Writers(folder)
    yield found
    for process in found.processes:
        process.kill()
        process.communicate()


class TestOtherWriters:
    def test_overlapping_sets_at_once(self, path: Path, writers: Writers) -> None:
        frames = labelled(*range(30))
        writers.start(path, frames.take(range(20)))
        writers.start(path, frames.take(range(29, 9, -1)))
        writers.go()
        for process in writers.processes:
            _, errors = process.communicate(timeout=START_S)
            assert process.returncode == 0, errors
        stored = sorted(row.uid for row in connect(path).select())
        assert stored == sorted(f't:{uid}' for uid in frames.uid)

    def test_held_lock_names_the_holder(self, path: Path, writers: Writers) -> None:
        held = writers.start(path, labelled(0), 'hold')
        writers.go()
        writers.wait_for(held)
        with (
            pytest.raises(FormatError, match=rf'labels\.db{LOCK_SUFFIX} .*process {writers.processes[0].pid} on .* 0\.2 s'),
            DatabaseManager(path, timeout_s=0.2),
        ):
            pass

    def test_killed_writer_frees_the_lock_and_leaves_no_rows(self, path: Path, writers: Writers) -> None:
        mirror(path, labelled(9))
        held = writers.start(path, labelled(0, 1), 'hold')
        writers.go()
        writers.wait_for(held)
        writers.processes[0].send_signal(signal.SIGKILL)
        writers.processes[0].wait()
        with DatabaseManager(path, timeout_s=5.0) as database:
            assert database.mirror(labelled(1, 2)) == MirrorReport(added=2, present=0, total=3)

    def test_killed_while_making_the_file(self, path: Path, writers: Writers) -> None:
        held = writers.start(path, labelled(0, 1), 'hold')
        writers.go()
        writers.wait_for(held)
        writers.processes[0].send_signal(signal.SIGKILL)
        writers.processes[0].wait()
        assert mirror(path, labelled(0, 1)) == MirrorReport(added=2, present=0, total=2)

    def test_stale_lock_file_of_ase_does_not_matter(self, path: Path) -> None:
        path.with_name(path.name + '.lock').touch()
        assert mirror(path, labelled(0)).added == 1

    def test_reader_does_not_wait(self, path: Path) -> None:
        mirror(path, labelled(0))
        with DatabaseManager(path) as database:
            database.mirror(labelled(1))
            assert len(connect(path)) == 1
        assert len(connect(path)) == 2

    def test_another_name_of_the_file_shares_the_lock(self, path: Path) -> None:
        mirror(path, labelled(0))
        other = path.with_name('other.db')
        other.symlink_to(path)
        with DatabaseManager(path), pytest.raises(FormatError, match='locked by'), DatabaseManager(other, timeout_s=0.1):
            pass
