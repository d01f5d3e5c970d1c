from pathlib import Path

from aiida_mlip_autopipe.formats import pw_batch


def test_paths_of_a_frame_sort_as_the_frames_do():
    for path_of in (pw_batch.input_file, pw_batch.result_file, pw_batch.frame_folder, pw_batch.result_name):
        paths = [path_of(index) for index in (0, 2, 10, 99_999)]
        assert paths == sorted(paths)
        assert len(set(paths)) == 4


def test_the_archive_lies_in_the_folder_of_results():
    assert Path(pw_batch.result_file(7)) == Path(pw_batch.RESULTS) / pw_batch.result_name(7)


def test_what_is_kept_has_names_of_its_own_and_no_wave_functions():
    names = [Path(path).name for path in pw_batch.KEPT]
    assert len(set(names)) == len(names)
    assert pw_batch.XML in names
    assert not any('wfc' in name for name in names)


def test_every_status_is_a_word_of_its_own():
    words = {pw_batch.ENDED, pw_batch.NOT_STARTED, pw_batch.OUT_OF_TIME, pw_batch.FAILED}
    assert len(words) == 4
