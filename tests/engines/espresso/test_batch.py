from pathlib import Path

from aiida_mlip_autopipe.engines.espresso import batch as pw_batch


def test_folders_of_frames_sort_as_the_frames_do():
    paths = [pw_batch.frame_folder(index) for index in (0, 2, 10, 99_999)]
    assert paths == sorted(paths)
    assert len(set(paths)) == 4


def test_what_is_kept_has_names_of_its_own_and_no_wave_functions():
    names = [Path(path).name for path in pw_batch.KEPT]
    assert len(set(names)) == len(names)
    assert pw_batch.XML in names
    assert not any('wfc' in name for name in names)


def test_every_status_is_a_word_of_its_own():
    words = set(pw_batch.RunStatus)
    assert len(words) == len(pw_batch.RunStatus.__members__)
