"""`PotentialData`: nodes of before the optional fields, and files that are tied together."""

import pytest
from aiida.common.exceptions import ValidationError

from aiida_mlip_autopipe.common.potential import checksum_of
from aiida_mlip_autopipe.data.potential import PotentialData

NAMES = ('param.pod', 'model.pod')


def checksums():
    return {name: checksum_of(name.encode()) for name in NAMES}


def test_a_node_of_before_is_read(potential_folder):
    node = PotentialData.from_folder(potential_folder())
    for name in ('checksums', 'energy_shift'):
        node.base.attributes.delete(name)
    assert node.store().record.checksums == {}


def test_files_of_one_fit_are_stored(potential_folder):
    node = PotentialData.from_folder(potential_folder(checksums=checksums())).store()
    assert node.record.checksums == checksums()


def test_a_file_of_another_fit_is_refused(potential_folder):
    node = PotentialData.from_folder(potential_folder(checksums={**checksums(), 'model.pod': '0' * 64}))
    with pytest.raises(ValidationError, match=r"files \['model.pod'\] are not of the fit that the record describes"):
        node.store()


def test_a_missing_file_is_refused(potential_folder):
    node = PotentialData.from_folder(potential_folder(checksums={'gone': '0' * 64}))
    with pytest.raises(ValidationError, match='gone'):
        node.store()
