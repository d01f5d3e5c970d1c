"""File names of a job: no two alike, and all inside the folder of the job."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from aiida_mlip_autopipe.formats import files

NAMES = [files.SETTINGS, files.REPORT, files.ERROR, files.STDOUT, files.STDERR, files.POTENTIAL, files.POTENTIAL_RECORD]
PORTS = ['frames', 'known', 'references', 'starts', 'candidates', 'labelled', 'quarantined', 'selection', 'predictions']


def test_known_answers() -> None:
    assert files.arrays_file('frames') == 'frames.npz'
    assert (files.SETTINGS, files.REPORT, files.ERROR) == ('settings.json', 'report.json', 'error.json')


def test_no_two_alike() -> None:
    everything = [*NAMES, *(files.arrays_file(port) for port in PORTS)]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize('name', [*NAMES, files.arrays_file('frames')])
def test_plain_name_in_the_folder_of_the_job(name: str) -> None:
    assert PurePath(name).parts == (name,)
