"""One file for each of many frames in a single tar archive, which may be cut at any byte without losing the frames before."""

from __future__ import annotations

import contextlib
import os
import tarfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

DIGITS: Final = 5
BLOCK: Final = tarfile.BLOCKSIZE
END: Final = bytes(2 * BLOCK)
"""What a tar archive ends with."""


@dataclass(frozen=True)
class _Place:
    """Where the file of a frame lies in its archive, in bytes."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """Where the next file begins."""
        return self.start + -(-self.size // BLOCK) * BLOCK

    def read(self, archive: IO[bytes]) -> bytes:
        """Return the file."""
        archive.seek(self.start)
        return archive.read(self.size)


class FrameArchive:
    """An archive that grows file by file, from several threads; the files that it already has are kept. Needs to be closed.

    :param suffix: of the files, such as `.zip`.
    """

    def __init__(self, path: Path, suffix: str) -> None:
        self._suffix = suffix
        self._lock = threading.Lock()
        self._handle: IO[bytes] = path.open('r+b' if path.exists() else 'w+b')
        self._places = _places_in(self._handle)
        self._end = max((place.end for place in self._places.values()), default=0)
        self._handle.truncate(self._end)

    def __contains__(self, index: int) -> bool:
        return index in self._places

    def add(self, index: int, content: bytes) -> None:
        """Write the file of a frame, whole or not at all.

        :raises OSError: it could not be written; what was there before stays.
        """
        info = tarfile.TarInfo(f'{index:0{DIGITS}d}{self._suffix}')
        info.size = len(content)
        with self._lock:
            place = _Place(self._end + BLOCK, info.size)
            try:
                self._write(info.tobuf(tarfile.USTAR_FORMAT) + content.ljust(place.end - place.start, b'\0'))
            except OSError:
                self._handle.truncate(self._end)
                raise
            self._places[index], self._end = place, place.end

    def _write(self, content: bytes) -> None:
        """Write at the end, past the buffer of Python, which would try again what failed."""
        left = memoryview(content)
        while left:
            left = left[os.pwrite(self._handle.fileno(), left, self._end + len(content) - len(left)) :]

    def close(self) -> None:
        """Mark the end, where there is room: without the mark, programs other than ours complain."""
        with contextlib.suppress(OSError):
            self._write(END)
        self._handle.close()


def read_frame_archive(archive: IO[bytes]) -> dict[int, bytes]:
    """Return the file of each frame by the index of the frame; one that is cut is not there."""
    return {index: place.read(archive) for index, place in _places_in(archive).items()}


def _places_in(archive: IO[bytes]) -> dict[int, _Place]:
    length = archive.seek(0, os.SEEK_END)
    found: dict[int, _Place] = {}
    start = 0
    while start + BLOCK <= length:
        archive.seek(start)
        try:
            info = tarfile.TarInfo.frombuf(archive.read(BLOCK), 'utf-8', 'surrogateescape')
        except tarfile.HeaderError:  # the mark of the end, or a disk that lost blocks
            break
        place = _Place(start + BLOCK, info.size)
        if place.start + place.size > length:
            break
        found[int(Path(info.name).stem)] = place
        start = place.end
    return found
