"""Copies of files and nodes beside a job take their place in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.formats.bases import BASES, base_folder, located


def copy(folder: Path, section: str, index: int, name: str) -> str:
    path = folder / BASES / base_folder(section, index) / name
    path.parent.mkdir(parents=True)
    path.touch()
    return str(path)


def test_copies_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    files = [copy(tmp_path, 'files', index, name) for index, name in ((10, 'a.cif'), (2, 'z.cif'), (0, 'm.cif'))]
    node = copy(tmp_path, 'structures', 0, 'uuid.extxyz')
    given = {'files': {'paths': ['x', 'y', 'z'], 'supercells': [[1, 1, 1]]}, 'structures': {'nodes': [7]}, 'sqs': {}}
    found = located(given, tmp_path)
    assert found['files'] == {'paths': files[::-1], 'supercells': [[1, 1, 1]]}
    assert found['structures'] == {'nodes': [node]}
    assert given['structures'] == {'nodes': [7]}


def test_without_copies_nothing_changes(tmp_path: Path) -> None:
    given = {'files': {'paths': ['x']}, 'structures': None}
    assert located(given, tmp_path) == given


def test_a_copy_that_is_missing(tmp_path: Path) -> None:
    copy(tmp_path, 'files', 0, 'a.cif')
    with pytest.raises(InputError, match=r'files\.paths: names 2, but 1 lie in'):
        located({'files': {'paths': ['a.cif', 'b.cif']}}, tmp_path)
