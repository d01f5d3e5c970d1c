"""`PotentialRecord`: round trip through JSON, and records that cannot be read."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.potential import PotentialRecord

RECORD = PotentialRecord(
    engine='pod',
    elements=('Mg', 'Al'),
    cutoff=4.5,
    pair_lines=('pair_style pod', 'pair_coeff * * param.pod model.pod Mg Al'),
    grade_lines=('compute grade all pod/atom param.pod model.pod Mg Al',),
    reference_energies={'Mg': -1.5, 'Al': 0.1 + 0.2},
    fingerprint='00ff',
    active_set='active_set.npz',
    training_uuid='5f3c',
)


def stored(**changes: Any) -> str:
    values = {**json.loads(RECORD.to_json()), **changes}
    return json.dumps({name: value for name, value in values.items() if value is not None})


def test_round_trip() -> None:
    found = PotentialRecord.from_json(RECORD.to_json())
    assert found == RECORD
    assert isinstance(found.elements, tuple)
    assert found.elements == ('Mg', 'Al'), 'the order is that of the atom types'


def test_text_is_stable_and_sorted() -> None:
    values = json.loads(RECORD.to_json())
    assert list(values) == sorted(values)
    assert PotentialRecord.from_json(RECORD.to_json()).to_json() == RECORD.to_json()


def test_optional_fields() -> None:
    found = PotentialRecord.from_json(stored(active_set=None, training_uuid=None))
    assert found == dataclasses.replace(RECORD, active_set='', training_uuid='')


@pytest.mark.parametrize(
    'field', ['elements', 'pair_lines', 'grade_lines', 'engine', 'cutoff', 'reference_energies', 'fingerprint']
)
def test_missing_field_is_named(field: str) -> None:
    with pytest.raises(FormatError, match=f'record of a potential cannot be read: .*{field}'):
        PotentialRecord.from_json(stored(**{field: None}))


def test_unknown_field_is_named() -> None:
    with pytest.raises(FormatError, match='colour'):
        PotentialRecord.from_json(stored(colour='red'))


@pytest.mark.parametrize('text', ['', '{', '[]', '3', 'null', '"pod"'])
def test_what_is_no_record(text: str) -> None:
    with pytest.raises(FormatError, match='record of a potential cannot be read'):
        PotentialRecord.from_json(text)


def test_elements_that_are_no_list() -> None:
    with pytest.raises(FormatError, match='not iterable'):
        PotentialRecord.from_json(stored(elements=5))
