"""Strict YAML: a key that stands twice is refused with both of its lines."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.yaml_file import read_yaml


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'config.yaml'


def complaint(path: Path, text: str) -> str:
    path.write_text(text, encoding='utf-8')
    with pytest.raises(InputError) as caught:
        read_yaml(path)
    return str(caught.value)


class TestDuplicates:
    def test_pyyaml_alone_takes_the_last(self) -> None:
        assert yaml.safe_load('seed: 1\nseed: 2\n') == {'seed': 2}

    def test_at_the_top(self, path: Path) -> None:
        assert complaint(path, 'seed: 1\nname: x\nseed: 2\n') == f"{path}: line 3: the key 'seed' is given twice, first in line 1"

    def test_deep_inside(self, path: Path) -> None:
        text = '# comment\nsystem:\n  - a:\n      steps: 1\n      steps: 1\n'
        assert complaint(path, text) == f"{path}: line 5: the key 'steps' is given twice, first in line 4"

    def test_in_one_line_and_quoted(self, path: Path) -> None:
        assert complaint(path, '{Al: 0.5, "Al": 0.5}') == f"{path}: line 1: the key 'Al' is given twice, first in line 1"

    def test_number(self, path: Path) -> None:
        assert complaint(path, '1: a\n1: b\n') == f"{path}: line 2: the key '1' is given twice, first in line 1"

    def test_section(self, path: Path) -> None:
        assert 'line 3' in complaint(path, 'train:\n  cutoff: 4\ntrain: {basis: S}\n')

    def test_same_key_in_different_mappings(self, path: Path) -> None:
        path.write_text('a: {count: 1}\nb: {count: 2}\nc: [{count: 3}, {count: 4}]\n')
        assert read_yaml(path) == {'a': {'count': 1}, 'b': {'count': 2}, 'c': [{'count': 3}, {'count': 4}]}

    def test_number_and_its_text_are_two_keys(self, path: Path) -> None:
        path.write_text('1: a\n"1": b\n')
        assert read_yaml(path) == {1: 'a', '1': 'b'}

    def test_override_of_what_is_merged(self, path: Path) -> None:
        path.write_text(
            'base: &base {count: 1, stdev: 2}\nother:\n  deep: &deep {<<: *base, count: 3}\nlast: {<<: *deep, count: 4}\n'
        )
        assert read_yaml(path) == {
            'base': {'count': 1, 'stdev': 2},
            'other': {'deep': {'count': 3, 'stdev': 2}},
            'last': {'count': 4, 'stdev': 2},
        }


class TestUnreadable:
    def test_missing(self, path: Path) -> None:
        with pytest.raises(InputError, match='cannot be read') as caught:
            read_yaml(path)
        assert str(caught.value) == f"{path}: cannot be read: [Errno 2] No such file or directory: '{path}'"

    def test_directory(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as caught:
            read_yaml(tmp_path)
        assert str(caught.value) == f"{tmp_path}: cannot be read: [Errno 21] Is a directory: '{tmp_path}'"

    def test_not_text(self, path: Path) -> None:
        path.write_bytes(b'\xff\xfe\x00')
        with pytest.raises(InputError, match=r'cannot be read: .utf-8. codec'):
            read_yaml(path)

    @pytest.mark.parametrize(
        ('text', 'said'),
        [
            ('a: [1', 'line 1, column 6'),
            ('a: 1\n b: 2', 'mapping values are not allowed here'),
            ('? [1]\n: 2\n', 'found unhashable key'),
            ('a: \0', 'special characters are not allowed'),
            ('a: 2026-13-01', 'month must be in 1..12'),
            ('a: !!python/object:os.system {}', 'could not determine a constructor'),
            ('a: 1\n---\na: 2\n', 'expected a single document'),
            ('a: *nowhere', 'found undefined alias'),
        ],
    )
    def test_broken(self, path: Path, text: str, said: str) -> None:
        found = complaint(path, text)
        assert found.startswith(f'{path}: not valid YAML: ')
        assert said in found
        assert '\n' not in found


@pytest.mark.parametrize('text', ['', '# only a comment\n', '---\n'])
def test_nothing(path: Path, text: str) -> None:
    path.write_text(text)
    assert read_yaml(path) is None
