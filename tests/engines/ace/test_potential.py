"""Files of a Pacemaker potential: LAMMPS lines, record, and whether the three files are of one fit."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.potential import PotentialRecord, checksum_of
from aiida_mlip_autopipe.engines.ace.potential import (
    ACTIVE_SET,
    POTENTIAL_YACE,
    POTENTIAL_YAML,
    active_set_sizes,
    check_same_fit,
    fast_elements,
    functions_of,
    grade_lines,
    pair_lines,
    record_of,
)
from tests.pacemaker_data import ALONE, FIXTURES, files


def active_set(**matrices: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **matrices)
    return stream.getvalue()


def test_lines_of_the_fast_form() -> None:
    assert pair_lines(['Cu', 'Al']) == ['pair_style pace product', 'pair_coeff * * output_potential.yace Cu Al']


def test_lines_with_the_grade_are_a_pair_style_of_their_own() -> None:
    assert grade_lines(['Cu', 'Al']) == [
        'pair_style pace/extrapolation',
        'pair_coeff * * output_potential.yaml output_potential.asi Cu Al',
    ]


def test_the_lines_are_those_of_the_recorded_runs() -> None:
    recorded = (FIXTURES / 'md_alcu.txt').read_text(encoding='utf-8').splitlines()
    for line in grade_lines(['Cu', 'Al']):
        assert line in recorded


@pytest.mark.parametrize(('name', 'counts'), [('fit_al', {'Al': 60}), ('fit_alcu', {'Al': 50, 'Cu': 50})])
def test_recorded_potentials_are_of_one_fit(name: str, counts: dict[str, int]) -> None:
    contents = files(name)
    assert functions_of(contents[POTENTIAL_YAML].decode()) == counts
    assert active_set_sizes(contents[ACTIVE_SET]) == counts
    assert fast_elements(contents[POTENTIAL_YACE].decode()) == list(counts)
    assert check_same_fit(contents, list(reversed(counts))) == counts


def test_an_active_set_of_another_potential() -> None:
    with pytest.raises(FormatError, match='not of one fit'):
        check_same_fit({**files(), ACTIVE_SET: files('fit_alcu')[ACTIVE_SET]}, ['Al'])


def test_a_fast_form_of_another_potential() -> None:
    with pytest.raises(FormatError, match=r"is for \['Al'\] \(\['Al', 'Cu'\] in output_potential.yace\), not \['Al'\]"):
        check_same_fit({**files(), POTENTIAL_YACE: files('fit_alcu')[POTENTIAL_YACE]}, ['Al'])


def test_other_elements() -> None:
    with pytest.raises(FormatError, match=r"not \['Mg'\]"):
        check_same_fit(files(), ['Mg'])


@pytest.mark.parametrize('matrix', [np.ones((2, 3)), np.ones(4), np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
def test_an_active_set_that_is_of_no_use(matrix: Any) -> None:
    with pytest.raises(FormatError, match=r'the matrix of Al, shape .*, is not square and finite'):
        active_set_sizes(active_set(Al=matrix))


@pytest.mark.parametrize('content', [b'', b'no archive', b'PK\x03\x04broken'])
def test_what_is_no_active_set(content: bytes) -> None:
    with pytest.raises(FormatError, match=r'output_potential\.asi: not an active set'):
        active_set_sizes(content)


@pytest.mark.parametrize('content', ['', 'species: 3', 'species: [{}]', 'species: [{speciesblock: Al, nbody: [{c: x}]}]', '{'])
def test_what_is_no_potential(content: str) -> None:
    with pytest.raises(FormatError, match=r'output_potential\.yaml: not a potential in the B-basis'):
        functions_of(content)


@pytest.mark.parametrize('number', ['.nan', '.inf'])
def test_a_coefficient_that_is_not_finite(number: str) -> None:
    with pytest.raises(FormatError, match='a coefficient of Al is not finite'):
        functions_of(f'species: [{{speciesblock: Al, nbody: [{{c: [0.1, {number}]}}]}}]')


def test_what_is_no_fast_form() -> None:
    with pytest.raises(FormatError, match=r'output_potential\.yace: not a potential in the C-basis'):
        fast_elements('species: []')


class TestRecord:
    RECORD = record_of(['Al'], 6.0, {'Al': ALONE['Al']}, 'emt', files())

    def test_content(self) -> None:
        assert self.RECORD.engine == 'pace'
        assert self.RECORD.active_set == 'output_potential.asi'
        assert self.RECORD.checksums == {name: checksum_of(content) for name, content in files().items()}
        assert self.RECORD.energy_shift == self.RECORD.reference_energies == {'Al': -1.5}

    def test_round_trip(self) -> None:
        assert PotentialRecord.from_json(self.RECORD.to_json()) == self.RECORD

    def test_files_of_the_same_fit(self) -> None:
        assert self.RECORD.foreign_files(files()) == []

    def test_a_file_of_the_right_size_from_another_fit_is_found(self) -> None:
        content = bytearray(files()[ACTIVE_SET])
        content[-1] ^= 1
        assert self.RECORD.foreign_files({**files(), ACTIVE_SET: bytes(content)}) == [ACTIVE_SET]

    def test_a_missing_file_is_found(self) -> None:
        contents = files()
        del contents[POTENTIAL_YACE]
        assert self.RECORD.foreign_files(contents) == [POTENTIAL_YACE]
