import io
import resource
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from aiida_mlip_autopipe.formats.frame_archive import FrameArchive, read_frame_archive

FILES = {3: b'first', 0: b'', 12_345: bytes(range(256)) * 5}


def write(path, files):
    with closing(FrameArchive(path, '.txt')) as archive:
        for index, content in files.items():
            archive.add(index, content)


def read(path):
    with path.open('rb') as handle:
        return read_frame_archive(handle)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'all.tar'
    write(path, FILES)
    return path


def test_what_goes_in_comes_out(path):
    assert read(path) == FILES


def test_it_is_a_tar_archive_with_sorted_names(path):
    with tarfile.open(path) as archive:
        assert archive.getnames() == ['00003.txt', '00000.txt', '12345.txt']
        assert archive.extractfile('12345.txt').read() == FILES[12_345]


def test_another_writer_goes_on(path):
    write(path, {7: b'later'})
    assert read(path) == {**FILES, 7: b'later'}


def test_what_is_there_is_known(path):
    with closing(FrameArchive(path, '.txt')) as archive:
        assert all(index in archive for index in FILES)
        assert 7 not in archive


@pytest.mark.parametrize('cut', range(0, 5 * 512 + 1280, 128))
def test_cut_anywhere_the_whole_files_before_are_kept_and_a_writer_goes_on(path, cut):
    path.write_bytes(path.read_bytes()[:cut])
    ends = {3: 512 + 5, 0: 1536, 12_345: 2048 + 1280}
    kept = {index: FILES[index] for index, end in ends.items() if end <= cut}
    assert read(path) == kept
    write(path, {7: b'later'})
    assert read(path) == {**kept, 7: b'later'}
    with tarfile.open(path) as archive:
        assert len(archive.getnames()) == len(kept) + 1


def test_blocks_that_are_lost_end_it(path):
    content = bytearray(path.read_bytes())
    content[1024:1536] = bytes(512)
    assert read_frame_archive(io.BytesIO(content)) == {3: b'first'}


def test_from_many_threads(tmp_path):
    files = {index: bytes([index]) * (index * 7) for index in range(100)}
    with closing(FrameArchive(tmp_path / 'all.tar', '.bin')) as archive, ThreadPoolExecutor(8) as pool:
        list(pool.map(archive.add, files, files.values()))
    assert read(tmp_path / 'all.tar') == files


def test_what_does_not_fit_is_not_there_and_the_rest_stays(tmp_path):
    path = tmp_path / 'all.tar'
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(FrameArchive(path, '.bin')) as archive:
        archive.add(0, b'small')
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
        try:
            with pytest.raises(OSError, match='File too large'):
                archive.add(1, bytes(10_000))
            assert path.stat().st_size == 1024
            archive.add(2, b'small again')
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read(path) == {0: b'small', 2: b'small again'}
