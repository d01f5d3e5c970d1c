"""The ase.db mirror: labelled frames in an SQLite file that people query with ASE, each frame exactly once."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TextIO, get_args

from ase.db.core import convert_str_to_int_float_bool_or_str
from ase.db.row import AtomsRow
from ase.db.sqlite import SQLite3Database

from aiida_mlip_autopipe.common.errors import FormatError, InputError, InvalidFramesError
from aiida_mlip_autopipe.common.frames import Frames

Split = Literal['train', 'test', 'reference']

LOCK_SUFFIX = '.flock'
"""Appended to the database's name for the file that writers lock; ASE removes files that end in `.lock`."""

TEXT_PREFIX = 't:'
"""Stands before texts that ASE would take for a number, and before every hash, so that queries for hashes look alike."""

HASH_KEYS = ('uid', 'lineage', 'parent', 'fingerprint')
_TEXT_KEYS = (*HASH_KEYS, 'config_type', 'label_uuid')
_TABLES = {'systems', 'species', 'keys', 'text_key_values', 'number_key_values', 'information'}
_POLL_S = 0.05


@dataclass(frozen=True)
class MirrorReport:
    """What one mirroring did.

    :param added: frames written by this call.
    :param present: frames that were in the file already, or twice among those given.
    :param total: rows in the file afterwards, of whatever origin.
    """

    added: int
    present: int
    total: int


def database_text(key: str, text: str) -> str:
    """Return `text` as it stands in the database under `key`; use it to query the file with ASE alone.

    ASE refuses texts that read as a number or truth value, and 0.1 % of all hashes do ('1234567890123456',
    '12e4567890123456'); in a query it would turn them into numbers silently.
    """
    reads_as_text = isinstance(convert_str_to_int_float_bool_or_str(text), str)
    return text if reads_as_text and key not in HASH_KEYS else TEXT_PREFIX + text


class DatabaseManager:
    """One transaction on an ase.db file, held against other writers: leaving the `with` block commits, an exception undoes all.

    A second writer waits for the first. Nothing is left locked by a writer that was killed. To only read the file, use
    `ase.db.connect`, which never waits.

    :param path: the SQLite file, ending in `.db`; made when it does not exist.
    :param timeout_s: seconds to wait for another writer.
    """

    def __init__(self, path: Path, *, timeout_s: float = 60.0) -> None:
        # Two names of one file must share one lock.
        self.path = path.resolve()
        self._timeout_s = timeout_s
        self._stack = ExitStack()
        self._database: SQLite3Database | None = None

    def __enter__(self) -> Self:
        """Open the file and start the transaction.

        :raises FormatError: not an ase.db file, not writable, or held by another writer for too long.
        """
        if self.path.suffix != '.db':
            raise FormatError(f'{self.path} must end in .db, by which ASE knows an SQLite database')
        with ExitStack() as stack:
            stack.enter_context(_file_lock(self.path.with_name(self.path.name + LOCK_SUFFIX), self._timeout_s))
            self._database = stack.enter_context(_transaction(self.path))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Commit, or undo everything after an exception, and let the next writer in."""
        self._database = None
        return self._stack.__exit__(kind, error, traceback)

    def mirror(self, frames: Frames, *, frames_uuid: str = '', split: Split | None = None) -> MirrorReport:
        """Add those `frames` that the file does not have yet; a frame is known by its uid and its level of theory.

        A row holds energy (eV), forces (eV/Å) and stress (eV/Å³); the keys uid, lineage, parent, config_type, round,
        fingerprint, label_uuid, frames_uuid and split where they are not empty; and `origin` in its data. Rows that are
        present are not touched.

        :param frames: labelled frames.
        :param frames_uuid: AiiDA UUID of the node that holds `frames`.
        :param split: what the frames are used for.
        :raises InvalidFramesError: a frame has no label or a number that is not finite; nothing is written.
        :raises InputError: an unknown `split`.
        """
        if split is not None and split not in get_args(Split):
            raise InputError(f'split is {split!r}, expected one of {get_args(Split)}')
        _require_labels(frames)
        known = _known_frames(self._connection)
        added = 0
        for index in range(len(frames)):
            identity = tuple(_pairs(frames, index, ('uid', 'fingerprint')).items())
            if identity in known:
                continue
            known.add(identity)
            pairs = _pairs(frames, index, _TEXT_KEYS) | {'round': int(frames.round[index])}
            pairs |= {key: database_text(key, text) for key, text in (('frames_uuid', frames_uuid), ('split', split)) if text}
            self._open.write(frames.atoms(index), key_value_pairs=pairs, data=_data(str(frames.origin[index])))
            added += 1
        total = self._connection.execute('SELECT COUNT(*) FROM systems').fetchone()[0]
        return MirrorReport(added=added, present=len(frames) - added, total=total)

    def select(self, **query: str | float) -> Iterator[AtomsRow]:
        """Yield the rows whose keys have the given values; texts as they stand in :class:`Frames`."""
        stored = {key: database_text(key, value) if isinstance(value, str) else value for key, value in query.items()}
        yield from self._open.select(**stored)

    def get(self, **query: str | float) -> AtomsRow:
        """Return the one row whose keys have the given values.

        :raises InputError: no row or several match; a uid labelled at two levels of theory has two rows.
        """
        rows = list(self.select(**query))
        if len(rows) != 1:
            raise InputError(f'{len(rows)} rows of {self.path} match {query}, expected 1')
        return rows[0]

    @property
    def _open(self) -> SQLite3Database:
        if self._database is None:
            raise InputError(f'{self.path} is not open: use "with DatabaseManager(path) as database:"')
        return self._database

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = self._open.connection
        return connection


class _OneTransaction(SQLite3Database):
    """ASE's SQLite database, which would commit after every 5000 rows."""

    def managed_connection(self, commit_frequency: int = sys.maxsize) -> AbstractContextManager[sqlite3.Connection]:
        held: AbstractContextManager[sqlite3.Connection] = super().managed_connection(commit_frequency)
        return held


@contextmanager
def _transaction(path: Path) -> Iterator[SQLite3Database]:
    """Hold the database with SQLite's write lock; a file made here goes again when the block fails."""
    is_new = not path.exists()
    is_committed = False
    # The caller holds a lock that dies with its process; ASE's lock file would stay after a kill.
    database = _OneTransaction(str(path), use_lock_file=False, serial=True)
    try:
        with database:
            _begin(database, path)
            yield database
        is_committed = True
    except sqlite3.Error as error:
        raise FormatError(f'cannot use {path} as an ase.db file: {error}') from error
    finally:
        if is_new and not is_committed:
            path.unlink(missing_ok=True)


def _begin(database: SQLite3Database, path: Path) -> None:
    """Take SQLite's write lock on an ase.db file, after making the tables of a new one."""
    connection: sqlite3.Connection = database.connection
    connection.execute('BEGIN IMMEDIATE')
    tables = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not tables >= _TABLES:
        raise FormatError(f'{path} is an SQLite file but not an ase.db file: it lacks the tables {sorted(_TABLES - tables)}')
    try:
        with database.managed_connection():
            pass
    except OSError as error:
        raise FormatError(f'cannot use {path} as an ase.db file: {error}') from error
    if not connection.in_transaction:
        # ASE commits after it has made the tables.
        connection.execute('BEGIN IMMEDIATE')


@contextmanager
def _file_lock(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold an advisory lock that the kernel frees when the process ends, however it ends."""
    try:
        handle = path.open('a+', encoding='utf-8')
    except OSError as error:
        raise FormatError(f'cannot write beside {path.with_suffix("")}: {error}') from error
    with handle:
        _acquire(handle, path, timeout_s)
        try:
            handle.truncate(0)
            handle.write(f'process {os.getpid()} on {socket.gethostname()}')
            handle.flush()
            yield
        finally:
            # Closing alone would not free it while a forked child holds a copy of the handle.
            fcntl.flock(handle, fcntl.LOCK_UN)


def _acquire(handle: TextIO, path: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            handle.seek(0)
            holder = handle.read() or 'another writer'
            raise FormatError(f'{path} has been locked by {holder} for more than {timeout_s:g} s') from error
        return


def _require_labels(frames: Frames) -> None:
    # Arrays can be written to after the constructor checked them; a copy is checked again.
    frames.replace()
    if not frames.labelled.all():
        index = int(frames.labelled.argmin())
        raise InvalidFramesError(f'frame {index} (uid {frames.uid[index]}) has no energy and forces')


def _known_frames(connection: sqlite3.Connection) -> set[tuple[tuple[str, str], ...]]:
    """Return the identities in the file, as pairs (key, stored text) of uid and, where there is one, fingerprint."""
    # Two plain scans: a join by row would be quadratic, ASE indexes keys but not rows.
    statement = 'SELECT id, value FROM text_key_values WHERE key = ?'
    fingerprints = dict(connection.execute(statement, ('fingerprint',)))
    return {
        (('uid', uid), ('fingerprint', fingerprints[row])) if row in fingerprints else (('uid', uid),)
        for row, uid in connection.execute(statement, ('uid',))
    }


def _pairs(frames: Frames, index: int, keys: tuple[str, ...]) -> dict[str, Any]:
    texts = ((key, str(getattr(frames, key)[index])) for key in keys)
    return {key: database_text(key, text) for key, text in texts if text}


def _data(origin: str) -> dict[str, Any]:
    """Return `origin` decoded, or as text when another program wrote it."""
    if not origin:
        return {}
    try:
        return {'origin': json.loads(origin)}
    except json.JSONDecodeError:
        return {'origin': origin}
