"""Optional fields of `PotentialRecord`: records that were written before them, and files that belong together."""

from __future__ import annotations

import json

from aiida_mlip_autopipe.common.potential import PotentialRecord, checksum_of
from tests.common.test_potential import RECORD


def test_a_record_of_before() -> None:
    values = json.loads(RECORD.to_json())
    del values['checksums'], values['energy_shift']
    found = PotentialRecord.from_json(json.dumps(values))
    assert found == RECORD
    assert found.checksums == {}
    assert found.energy_shift == {}


def test_a_known_checksum() -> None:
    assert checksum_of(b'abc') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'


def test_without_checksums_no_file_is_foreign() -> None:
    assert RECORD.foreign_files({'any': b''}) == []
