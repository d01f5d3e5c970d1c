"""The folder of a potential: record written, record read, record missing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ase import Atoms

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential, write_record


def record(active_set: str = 'active_set.npz') -> PotentialRecord:
    return PotentialRecord('pod', ('Cu', 'Au'), 4.5, ('pair_style pod',), ('compute grade',), {'Cu': 1.0}, 'ff', active_set)


def test_folder_is_made_once(tmp_path: Path) -> None:
    assert potential_folder(tmp_path) == potential_folder(tmp_path) == tmp_path / 'potential'
    assert (tmp_path / 'potential').is_dir()


def test_round_trip(tmp_path: Path) -> None:
    write_record(tmp_path, record())
    assert (tmp_path / 'potential' / 'potential.json').read_text() == record().to_json()
    assert read_potential(tmp_path) == LammpsPotential(
        elements=('Cu', 'Au'),
        pair_lines=('pair_style pod',),
        cutoff=4.5,
        grade_lines=('compute grade',),
        active_set=Path('active_set.npz'),
    )


def test_an_energy_shift_comes_along(tmp_path: Path) -> None:
    write_record(tmp_path, dataclasses.replace(record(), engine='pace', energy_shift={'Cu': -1.0}))
    found = read_potential(tmp_path)
    assert (found.engine, found.energy_shift) == ('pace', {'Cu': -1.0})
    assert found.shift_of(Atoms('Cu2Au')) == -2.0


def test_without_active_set(tmp_path: Path) -> None:
    write_record(tmp_path, record(active_set=''))
    found = read_potential(tmp_path)
    assert found.active_set is None
    assert not found.has_grade


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_potential(tmp_path)
    assert str(caught.value) == 'potential/potential.json: the record of the potential is missing'


def test_unreadable(tmp_path: Path) -> None:
    (potential_folder(tmp_path) / 'potential.json').write_text('{"engine": "pod"')
    with pytest.raises(FormatError, match='record of a potential cannot be read'):
        read_potential(tmp_path)
